import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import process from 'node:process'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { useBrowser } from '../support/browser'
import { freePort } from '../support/built-server'
import { rootDir } from '../support/projects'
import { SSEReader } from '../support/read-sse'
import { eventually } from '../support/conditions'
import { saveUntil } from '../support/save-until'

const APP = {
  'nuxt.config.ts': `export default defineNuxtConfig({
  modules: ['../../../src/module'],
  devtools: { enabled: true, disableAuthorization: true, telemetry: false },
  compatibilityDate: '2026-11-01',
  telemetry: false,
})\n`,
  'package.json': '{ "name": "devtools-fixture", "private": true, "type": "module" }\n',
  'app/app.vue': '<template>\n  <p>An application</p>\n</template>\n',
  'server/api/feed.get.ts': 'export default defineSSEHandler(() => useSSEChannel<unknown>(\'feed\'))\n',
  'server/api/keyed.get.ts': 'export default defineSSEHandler(event => useSSEChannel<unknown>(String(getQuery(event).key)), { clientKey: event => String(getQuery(event).key) })\n',
  'server/api/room.get.ts': 'export default defineSSEHandler(event => useSSEPresence(\'lobby\', { id: String(getQuery(event).id), data: { name: \'Ann\' } }))\n',
  'server/api/clock.get.ts': 'export default defineSSEHandler(async function* () {\n  for (let n = 1; ; n++) {\n    yield sseMessage({ n }, { event: \'tick\' })\n    await new Promise(resolve => setTimeout(resolve, 100))\n  }\n})\n',
}

const dir = join(rootDir, 'test/fixtures/.devtools')
let url: string
let child: ReturnType<typeof spawn>
let output = ''
const { open, problems } = useBrowser()
let page: Page
/** A page of another origin. */
let stranger: Server
let strange: string

beforeAll(async () => {
  await rm(dir, { recursive: true, force: true })
  for (const [path, text] of Object.entries(APP)) {
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), text)
  }
  const port = await freePort()
  url = `http://localhost:${port}`
  child = spawn(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'dev', dir, '--port', String(port), '--host', 'localhost', '--no-fork'], { cwd: rootDir, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_ENV: 'development', TEST: '', VITEST: '' } })
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', chunk => output += chunk)
  await vi.waitFor(async () => expect((await fetch(`${url}/__sse/state`, { signal: AbortSignal.timeout(10_000) })).status, output).toBe(200), { timeout: 200_000, interval: 100 })
  stranger = createServer((_, response) => response.setHeader('content-type', 'text/html').end(`<!doctype html><iframe src="${url}/__sse"></iframe>`))
  stranger.listen(0, '127.0.0.1')
  await once(stranger, 'listening')
  strange = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
}, 240_000)

afterAll(async () => {
  stranger?.close()
  child.kill('SIGTERM')
  await once(child, 'exit')
  await rm(dir, { recursive: true, force: true })
})

beforeEach(async () => {
  page = await open()
})

const table = (id: string) => page.locator(`#${id}`).innerText()
it('leaves the probe of the network alone', async () => {
  const response = await fetch(`${url}/__sse/probe`)
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  await response.body!.cancel()
})

const state = async () => (await fetch(`${url}/__sse/state`)).json()

describe('the tab in Nuxt DevTools', () => {
  it('shows the open connections, and publishes', async () => {
    await using clock = await SSEReader.open(`${url}/api/clock`)
    await using feed = await SSEReader.open(`${url}/api/feed`)
    await page.goto(`${url}/__sse`)
    await eventually(async () => expect(await page.locator('#link').innerText()).toBe('Connected'))
    await eventually(async () => expect(await table('connections')).toMatch(/\/api\/clock[\s\S]*\/api\/feed\s+feed\s+\w+\.0/))
    expect(await table('channels')).toMatch(/feed\s+\w+\.0\s+0\s+1\s+0\s+open/)
    // Its own requests do not appear.
    expect(await page.locator('#numbers').innerText()).toMatch(/Open\s+2\s/)

    await page.click('#channels button')
    await page.fill('[name=event]', 'greeting')
    await page.fill('[name=data]', '{ "hello": "you" }')
    await page.click('form button')
    await feed.until(({ messages }) => messages.length === 1)
    const [message] = feed.messages
    expect(message).toMatchObject({ event: 'greeting', data: { hello: 'you' } })
    await eventually(async () => expect(await page.locator('#published').innerText()).toBe(`Published as ${message!.id}`))
    await eventually(async () => expect(await table('log')).toContain(`${message!.id}\tgreeting: {"hello":"you"}`))
    await eventually(async () => expect(await table('log')).toMatch(/tick: \{"n":\d+\}/))
    await eventually(async () => expect(await table('channels')).toContain(message!.id))
    await eventually(async () => expect(await page.locator('#connections tr', { hasText: '/api/clock' }).locator('td').nth(5).innerText()).toMatch(/^[1-9]/))

    await clock.close()
    await eventually(async () => expect(await table('connections')).toMatch(/\/api\/clock.*closed: disconnect/))
    expect(problems).toEqual([])
  })

  it('reports a message that cannot be published', async () => {
    await page.goto(`${url}/__sse`)
    await page.fill('[name=channel]', 'feed')
    await page.fill('[name=data]', 'hello')
    await page.click('form button')
    await eventually(async () => expect(await page.locator('#published').innerText()).toContain('Put text in quotes'))
    await page.fill('[name=data]', '1')
    await page.fill('[name=event]', 'sse')
    await page.click('form button')
    await eventually(async () => expect(await page.locator('#published').innerText()).toMatch(/^RESERVED_EVENT: /))
  })

  // @guarantee disconnect
  it('shows who is present and the keys of clients, and disconnects a client and a stream', async () => {
    const [ann, ben] = await Promise.all(['ann', 'ben'].map(key => SSEReader.open(`${url}/api/keyed?key=${key}`)))
    await using room = await SSEReader.open(`${url}/api/room?id=ann`)
    await using again = await SSEReader.open(`${url}/api/room?id=cleo`)
    await page.goto(`${url}/__sse`)
    await eventually(async () => expect(await table('presences')).toMatch(/lobby\s+2\s+ann \{"name":"Ann"\}, cleo \{"name":"Ann"\}/))
    await page.locator('#connections').getByRole('button', { name: 'ann', exact: true }).click()
    expect(await page.inputValue('[name=key]')).toBe('ann')
    await page.getByRole('button', { name: 'Disconnect', exact: true }).click()
    await ann!.finished
    expect(ann!.controls.at(-1)).toMatchObject({ type: 'error', code: 'DISCONNECTED', statusCode: 401 })
    await eventually(async () => expect(await page.locator('#disconnected').innerText()).toBe('Disconnected the client ann'))
    expect(ben!.controls.at(-1)).toMatchObject({ type: 'open' })

    await page.fill('[name=key]', 'ben')
    await page.getByRole('button', { name: 'Reconnect', exact: true }).click()
    await ben!.finished
    expect(ben!.controls.at(-1)).toMatchObject({ type: 'leave' })

    const row = page.locator('#connections tr', { hasText: '/api/room?id=cleo' })
    await row.getByRole('button', { name: 'disconnect' }).click()
    await again.finished
    expect(again.controls.at(-1)).toMatchObject({ type: 'error', code: 'DISCONNECTED' })
    await eventually(async () => expect(await page.locator('#disconnected').innerText()).toBe('Disconnected the stream'))
    await eventually(async () => expect(await row.innerText()).toContain('closed: error DISCONNECTED'))
    expect(room.controls.at(-1)).toMatchObject({ type: 'open' })

    await page.fill('[name=key]', 'x'.repeat(600))
    await page.getByRole('button', { name: 'Disconnect', exact: true }).click()
    await eventually(async () => expect(await page.locator('#disconnected').innerText()).toMatch(/^INVALID_OPTION: /))
    if (process.env.SSE_SCREENSHOTS) {
      await page.setViewportSize({ width: 1280, height: 1000 })
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        await page.screenshot({ path: join(process.env.SSE_SCREENSHOTS, `devtools-actions-${colorScheme}.png`), fullPage: true })
      }
    }
  })

  it('is in Nuxt DevTools, follows its theme, and has a name for every control', async () => {
    await page.setViewportSize({ width: 1280, height: 900 })
    await page.goto(`${url}/__nuxt_devtools__/client/modules/custom-sse`)
    // A new user is greeted first.
    await page.getByRole('button', { name: 'Get Started' }).or(page.getByText('Get Started')).first().click()
    await page.waitForURL(({ pathname }) => pathname.startsWith('/__nuxt_devtools__/client/modules/'))
    await page.goto(`${url}/__nuxt_devtools__/client/modules/custom-sse`)
    await eventually(async () => expect(await page.locator('img[src$="/__sse/icon.svg"]').first().evaluate(image => (image as HTMLImageElement).naturalWidth)).toBeGreaterThan(0))
    const frame = page.frameLocator('iframe[src$="/__sse"]')
    await eventually(async () => expect(await frame.locator('#link').innerText()).toBe('Connected'))
    const inner = page.frames().find(one => one.url() === `${url}/__sse`)!
    const dark = () => page.evaluate(() => document.documentElement.classList.contains('dark'))
    await eventually(async () => expect(await inner.evaluate(() => document.documentElement.dataset.theme)).toBe(await dark() ? 'dark' : 'light'))
    for (const theme of ['light', 'dark']) {
      await page.evaluate(to => document.documentElement.classList.toggle('dark', to === 'dark'), theme)
      await eventually(async () => expect(await inner.evaluate(() => document.documentElement.dataset.theme)).toBe(theme))
      if (process.env.SSE_SCREENSHOTS) await page.screenshot({ path: join(process.env.SSE_SCREENSHOTS, `devtools-${theme}.png`) })
    }
    const tree = await inner.locator('body').ariaSnapshot()
    const controls = tree.split('\n').filter(line => /^\s*- (?:button|textbox|combobox|checkbox|link)\b/.test(line))
    expect(controls.length).toBeGreaterThanOrEqual(7)
    for (const control of controls) expect(control).toMatch(/- \w+ "/)
  })

  it('finds the server again after a reload', async () => {
    await page.goto(`${url}/__sse`)
    await eventually(async () => expect(await page.locator('#link').innerText()).toBe('Connected'))
    const file = join(dir, 'server/api/clock.get.ts')
    const changed = (await readFile(file, 'utf8')).replace('{ n }', '{ n, reloaded: true }')
    await saveUntil(file, changed, async () => {
      await using clock = await SSEReader.open(`${url}/api/clock`, { signal: AbortSignal.timeout(5_000) })
      await clock.until(({ messages }) => messages.length > 0)
      expect(clock.data[0]).toMatchObject({ reloaded: true })
    })
    await using clock = await SSEReader.open(`${url}/api/clock`)
    await eventually(async () => expect(await table('log')).toContain('"reloaded":true'))
    expect(clock.status).toBe(200)
  }, 120_000)
})

describe('a page of another origin', () => {
  it('neither reads, nor publishes, nor has it in a frame', async () => {
    // The server of the test before may still be starting again, and the page has a frame of it.
    await eventually(state)
    const before = await state()
    await page.goto(strange, { waitUntil: 'domcontentloaded' })
    await using victim = await SSEReader.open(`${url}/api/keyed?key=victim`)
    const tried = await page.evaluate(async (base) => {
      const code = (request: Promise<Response>) => request.then(async response => `${response.type} ${await response.text()}`, () => 'failed')
      return [
        await code(fetch(`${base}/__sse/state`)),
        await code(fetch(`${base}/__sse/publish`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"channel":"evil","data":1}' })),
        await code(fetch(`${base}/__sse/disconnect`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"key":"victim"}' })),
        await code(fetch(`${base}/__sse/disconnect`, { method: 'POST', mode: 'no-cors', body: '{"key":"victim"}' })),
        // A request without a preflight.
        await code(fetch(`${base}/__sse/publish`, { method: 'POST', mode: 'no-cors', body: '{"channel":"evil","data":1}' })),
        await new Promise(resolve => Object.assign(new EventSource(`${base}/__sse/stream`), { onmessage: () => resolve('read'), onerror: () => resolve('failed') })),
      ]
    }, url)
    expect(tried).toEqual(['failed', 'failed', 'failed', 'opaque ', 'opaque ', 'failed'])
    await eventually(() => expect(page.frames()[1]!.url()).toMatch(/^chrome-error:/))
    expect(problems.some(text => /frame-ancestors|403/.test(text))).toBe(true)
    expect((await state()).stats.published).toBe(before.stats.published)
    expect(victim.controls.at(-1)).toMatchObject({ type: 'open' })
  })

  it('gets a 403, and so does a foreign host name for this machine', async () => {
    const actions = { publish: '{"channel":"evil","data":1}', disconnect: '{"key":"evil"}' }
    for (const [action, body] of Object.entries(actions)) {
      const act = async (headers: Record<string, string>) => (await fetch(`${url}/__sse/${action}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })).status
      expect(await act({ origin: strange })).toBe(403)
      expect(await act({ 'sec-fetch-site': 'cross-site' })).toBe(403)
      expect(await act({ 'content-type': 'text/plain' })).toBe(403)
      expect(await act({})).toBe(200)
      expect((await fetch(`${url}/__sse/${action}`)).status).toBe(404)
    }
    const { request } = await import('node:http')
    const { promise, resolve } = Promise.withResolvers<number>()
    request(`${url}/__sse/state`, { headers: { host: 'example.com' } }, response => resolve(response.resume().statusCode!)).end()
    expect(await promise).toBe(403)
  })
})
