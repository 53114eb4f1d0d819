import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import type { Nginx } from '../support/nginx'
import { startBufferingNginx } from '../support/nginx'
import type { Proxy } from '../support/proxy'
import { startProxy } from '../support/proxy'
import { eventually } from '../support/conditions'
import { recordStatuses } from '../support/playground'

/** Proxies between a browser and a server, and the browser's treatment of a page: the playground's feed must survive all of it. */

const { open } = useBrowser({ backForwardCache: true })
let server: BuiltServer
let page: Page
let published: string[]

beforeAll(async () => {
  server = await startBuiltServer('playground')
})
afterAll(stopBuiltServers)

beforeEach(async () => {
  published = []
  page = await open()
})

const status = () => page.getByRole('complementary').getByRole('status').innerText()
const transport = () => page.getByTestId('transport').innerText()
/** The newest comes first. */
const shown = () => page.locator('.entries .text').allInnerTexts().then(texts => texts.toReversed())

async function publish(): Promise<void> {
  const text = `News ${published.length + 1}`
  const response = await fetch(`${server.url}/api/feed`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ text }) })
  expect(response.status).toBe(200)
  published.push(text)
}

/** Publishes for as long as `task` takes. */
async function publishing<T>(task: Promise<T>, everyMs = 150): Promise<T> {
  let over = false
  const done = task.finally(() => over = true)
  while (!over) {
    await publish()
    await Promise.race([done.catch(() => {}), new Promise(resolve => setTimeout(resolve, everyMs))])
  }
  return done
}

async function opened(url = server.url): Promise<void> {
  await page.goto(`${url}/feed`)
  await eventually(async () => expect(await status()).toMatch(/^connected/), 60_000)
}

/** From the page's view: a headless Chromium has no window that could cover another one. */
const turn = (state: DocumentVisibilityState) => page.evaluate((state) => {
  Object.defineProperties(document, { visibilityState: { value: state, configurable: true }, hidden: { value: state === 'hidden', configurable: true } })
  document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))
}, state)

const hasAll = () => eventually(async () => expect(await shown()).toEqual(published))

describe('proxies', () => {
  let nginx: Nginx | undefined
  let proxy: Proxy | undefined
  afterEach(async () => {
    await Promise.all([nginx?.stop(), proxy?.close()])
    nginx = proxy = undefined
  })

  // @guarantee one-position, buffering-proxy
  it('with an nginx that buffers, the page shows that it polls, remembers it, and has everything once', async () => {
    nginx = await startBufferingNginx(server.url)
    const asked: string[] = []
    const note = (request: { url(): string }) => {
      const { pathname, searchParams } = new URL(request.url())
      if (/^\/api\/feed\/stream|probe$/.test(pathname)) asked.push(pathname.endsWith('probe') ? 'probe' : searchParams.get('transport') ?? 'stream')
    }
    page.on('request', note)
    await page.goto(`${nginx.url}/feed`)
    await eventually(async () => expect(await status()).toMatch(/^connected/), 60_000)
    page.off('request', note)
    // A further stream may be tried where the probe's answer takes longer than the playground gives a stream.
    expect(asked.slice(0, 2)).toEqual(['stream', 'probe'])
    expect(asked.filter(kind => kind === 'probe')).toHaveLength(1)
    expect(await transport()).toBe('poll')
    await publish()
    await publish()
    await hasAll()

    // Another page of this browser session does not detect it again.
    const streams: string[] = []
    page.on('request', (request) => {
      if (request.url().includes('/api/feed/stream')) streams.push(new URL(request.url()).searchParams.get('transport') ?? 'stream')
    })
    published = []
    await opened(nginx.url)
    expect(streams[0]).toBe('poll')
    expect(await transport()).toBe('poll')
    await publish()
    await hasAll()
  }, 90_000)

  // @guarantee order-once, silence-cut
  it('through a proxy that cuts every five seconds: nothing lost, nothing twice', async () => {
    proxy = await startProxy(server.url)
    await opened(proxy.url)
    const statuses = await recordStatuses(page)
    const cutting = setInterval(() => proxy!.cut(), 5_000)
    try {
      await publishing(eventually(async () => expect(await page.getByText(/resumed behind/).count()).toBeGreaterThanOrEqual(2), 40_000), 400)
      expect(new Set(await statuses())).toEqual(new Set(['connected', 'reconnecting']))
    }
    finally {
      clearInterval(cutting)
    }
    await hasAll()
    await eventually(async () => expect(await status()).toMatch(/^connected/))
  })
})

describe('the browser', () => {
  it('offline and online: the page shows it at once, and has all that was published meanwhile', async () => {
    await opened()
    await publish()
    await hasAll()
    await page.context().setOffline(true)
    await eventually(async () => expect(await status()).toContain('reconnecting'))
    await publish()
    await publish()
    await page.context().setOffline(false)
    await hasAll()
    await eventually(async () => expect(await status()).toMatch(/^connected/))
  })

  // @guarantee sleeping-page
  it('a page in the back-forward cache keeps no connection, and resumes where it was with one', async () => {
    await opened()
    await publish()
    await hasAll()
    await page.evaluate(() => addEventListener('pageshow', event => (globalThis as { restored?: boolean }).restored = (event as PageTransitionEvent).persisted))
    const requests: string[] = []
    page.on('request', request => requests.push(new URL(request.url()).pathname))
    await page.goto(`${server.url}/metrics`)
    await publish()
    await eventually(async () => expect(await (await fetch(`${server.url}/metrics`)).text()).toMatch(/^sse_connections(?:\{[^}]*\})? 0$/m))
    await publish()
    requests.length = 0
    await page.goBack({ waitUntil: 'commit' })
    await hasAll()
    expect(await page.evaluate(() => (globalThis as { restored?: boolean }).restored)).toBe(true)
    expect(await status()).toMatch(/^connected/)
    expect(requests.filter(path => path === '/api/feed/stream')).toHaveLength(1)
  })

  // @guarantee sleeping-page
  it('a frozen page resumes when it wakes, with one connection', async () => {
    await opened()
    const session = await page.context().newCDPSession(page)
    await session.send('Page.setWebLifecycleState', { state: 'frozen' })
    await publish()
    await publish()
    const requests: string[] = []
    page.on('request', request => requests.push(new URL(request.url()).pathname))
    await session.send('Page.setWebLifecycleState', { state: 'active' })
    await hasAll()
    expect(await status()).toMatch(/^connected/)
    expect(requests.filter(path => path === '/api/feed/stream').length).toBeLessThanOrEqual(1)
  })

  // @guarantee sleeping-page
  it('a hidden page stays connected, and has all when it is seen again', async () => {
    await opened()
    await turn('hidden')
    const requests: URL[] = []
    page.on('request', request => requests.push(new URL(request.url())))
    await publish()
    await publish()
    await hasAll()
    await turn('visible')
    await publish()
    await hasAll()
    expect(await status()).toMatch(/^connected/)
    // One poll checks whether the stream is alive, which stays.
    await eventually(() => expect(requests.filter(({ pathname }) => pathname === '/api/feed/stream').map(({ searchParams }) => [searchParams.get('transport'), searchParams.get('waitMs')])).toEqual([['poll', '0']]))
  })
})
