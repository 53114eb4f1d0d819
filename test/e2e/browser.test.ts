import type { Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'

let server: BuiltServer
let page: Page

afterEach(stopBuiltServers)
const { open, problems } = useBrowser()
beforeEach(async () => {
  server = await startBuiltServer('basic')
  page = await open()
})

const text = (id: string) => page.locator(`#${id}`).textContent()
const publish = (channel: string, body: unknown, query = '') => fetch(`${server.url}/api/publish/${channel}${query}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

describe('useSSE in Chromium', () => {
  it('shows what is published, without a hydration mismatch or a word in the console', async () => {
    await publish('page', { n: 1 })
    await page.goto(server.url)
    await eventually(async () => expect(await text('all')).toBe('1'))
    await publish('page', { n: 2 })
    await eventually(async () => expect(await text('all')).toBe('1,2'))
    expect(await text('status')).toBe('connected')
    expect(await text('transport')).toBe('stream')
    expect(problems).toEqual([])
  })

  // @guarantee deploy-502
  it('reconnects without a reload when the server is killed and started again, and reports the loss', async () => {
    await publish('page', { n: 1 })
    await page.goto(server.url)
    await eventually(async () => expect(await text('all')).toBe('1'))

    await server.stop('SIGKILL')
    await eventually(async () => expect(await text('status')).toBe('reconnecting'))
    server = await startBuiltServer('basic', { port: server.port })
    await publish('page', { n: 2 })
    await eventually(async () => expect(await text('all')).toBe('1,2'))
    // The memory driver ends with its process: another epoch, and the page knows it.
    expect(await text('gap')).toBe('epoch')
    expect(await text('status')).toBe('connected')
    await publish('page', { n: 3 })
    await eventually(async () => expect(await text('all')).toBe('1,2,3'))
  })

  it('reconnects by itself when the server sends a leave', async () => {
    await page.goto(server.url)
    await eventually(async () => expect(await text('status')).toBe('connected'))
    const { code } = await server.stop('SIGTERM')
    expect(code).toBe(0)
    server = await startBuiltServer('basic', { port: server.port })
    await publish('page', { n: 1 })
    await eventually(async () => expect(await text('all')).toBe('1'))
  })

  it('finds its routes below the application\'s baseURL', async () => {
    await server.stop()
    server = await startBuiltServer('basic', { env: { NUXT_APP_BASE_URL: '/below/' } })
    await page.goto(`${server.url}/below/`)
    await eventually(async () => expect(await text('status')).toBe('connected'))
  })

  it('detects a gate that redirects the stream to a sign-in page on another origin, and retries nothing forever', async () => {
    // Two loopback addresses are two origins. The other one allows none.
    const asked: string[] = []
    await page.route('**/api/channel/page*', async (route) => {
      asked.push(route.request().method())
      await route.fulfill({ status: 302, headers: { location: server.url.replace('127.0.0.1', 'localhost') } })
    })
    await page.goto(server.url)
    await eventually(async () => expect([await text('status'), (await text('error'))!.trim()]).toEqual(['closed', 'REDIRECTED']), 20_000)
    // The check runs beside the attempts, of which one more may begin meanwhile.
    expect(asked.filter(method => method === 'HEAD')).toHaveLength(1)
    expect(asked.slice(0, 2)).toEqual(['GET', 'GET'])
    expect(asked.length).toBeLessThanOrEqual(4)
  })

  it('loses nothing when the network is down for a while', async () => {
    await page.goto(server.url)
    await eventually(async () => expect(await text('status')).toBe('connected'))
    const numbers = Array.from({ length: 30 }, (_, index) => index + 1)
    for (const n of numbers) {
      await page.context().setOffline(n % 10 > 5)
      await publish('page', { n })
    }
    await page.context().setOffline(false)
    await eventually(async () => expect(await text('all')).toBe(numbers.join(',')))
    expect(await text('gap')).toBe('')
  })
})

describe('clients that are not ours, in Chromium', () => {
  it('read the same route with EventSource and VueUse, without a stray message', async () => {
    await page.goto(`${server.url}/peers`)
    await eventually(async () => expect(await text('status')).toBe('OPEN'))
    await publish('peers', { n: 1 })
    // A named message never reaches `onmessage`; nor does a control message, or a heartbeat (every 200 ms here).
    await publish('peers', { n: 2 }, '?event=other')
    await publish('peers', { n: 3 })
    await eventually(async () => expect(await text('native')).toBe('{"n":1}|{"n":3}'))
    await eventually(async () => expect(await text('vueuse')).toBe('{"n":1}|{"n":3}'))
    expect(problems).toEqual([])
  })

  it('include a native EventSource that resumes after the server has left, and stops when the channel has ended', async () => {
    await page.goto(`${server.url}/peers`)
    const ids = page.evaluate(() => new Promise<string[]>((resolve) => {
      const source = new EventSource('/api/channel/native')
      const seen: string[] = []
      source.onmessage = ({ data }) => seen.push(data)
      source.onerror = () => source.readyState === EventSource.CLOSED && resolve(seen)
    }))
    await publish('native', { n: 1 })
    await publish('native', { n: 2 }, '?end')
    // `end` closes the stream, EventSource reconnects with its last ID, and 204 stops it.
    expect(await ids).toEqual(['{"n":1}', '{"n":2}'])
  })
})
