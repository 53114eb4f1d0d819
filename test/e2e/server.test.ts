import { once } from 'node:events'
import { createConnection } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { SSEReader } from '../support/read-sse'
import { eventually } from '../support/conditions'

let server: BuiltServer
beforeAll(async () => {
  server = await startBuiltServer('basic')
})
afterAll(stopBuiltServers)

const open = (path: string, init?: RequestInit) => SSEReader.open(server.url + path, init)
const post = (path: string, body: unknown) => fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
const stats = async ({ url } = server) => await (await fetch(`${url}/api/stats`)).json() as { connections: number, heartbeats: number, channels: number }

describe('auto-imported utilities in a built server', () => {
  it('streams a generator and ends it', async () => {
    const reader = await open('/api/count')
    await reader.finished
    expect(reader.data).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    expect(reader.controls.map(({ type }) => type)).toEqual(['open', 'end'])
  })

  it('streams the answer to a POST after reading its body', async () => {
    const reader = await open('/api/chat', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ prompt: 'one two' }) })
    await reader.finished
    expect(reader.messages).toMatchObject([{ data: { text: 'one ' } }, { data: { text: 'two ' } }, { event: 'usage', data: { words: 2 } }])
  })

  it('has the probe below `app.baseURL`', async () => {
    const based = await startBuiltServer('basic', { env: { NUXT_APP_BASE_URL: '/base/' } })
    for (const url of [`${server.url}/__sse/probe`, `${based.url}/base/__sse/probe`]) {
      const response = await fetch(url)
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
      const reader = response.body!.getReader()
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(': probe\n\n')
      await reader.cancel()
    }
    await based.stop()
  })

  it('lets the handler refuse with an ordinary HTTP error, on either transport', async () => {
    for (const accept of ['text/event-stream', 'application/json']) {
      const response = await fetch(`${server.url}/api/private`, { headers: { accept } })
      expect(response.status).toBe(401)
      expect(await response.json()).toMatchObject({ message: 'Sign in first.' })
    }
    const refused = await post('/api/chat', {})
    expect(refused.status).toBe(422)
  })

  // @guarantee one-position
  it('serves a channel over both transports from the same positions', async () => {
    await using reader = await open('/api/channel/both')
    await reader.until(r => r.controls.length === 1)
    for (const n of [1, 2, 3]) await post('/api/publish/both', { n })
    await reader.until(r => r.data.length === 3)
    const [first] = reader.messages
    const batch = await (await fetch(`${server.url}/api/channel/both?transport=poll&position=${first!.id}`)).json()
    expect(batch).toEqual({ type: 'batch', messages: reader.messages.slice(1).map(({ id, data }) => ({ id, data })), position: reader.messages[2]!.id, ended: false, gap: null, pollMs: 0 })
  })

  it('keeps the surface of createEventStream under another name', async () => {
    const reader = await open('/api/raw')
    await reader.finished
    expect(reader.events.filter(({ event }) => event !== 'sse').map(({ id, event, data }) => [id, event, data])).toEqual([
      [undefined, undefined, 'tick 1'], ['1', 'named', '{"n":1}'],
      [undefined, undefined, 'tick 2'], ['2', 'named', '{"n":2}'],
      [undefined, undefined, 'tick 3'], ['3', 'named', '{"n":3}'],
    ])
    expect(reader.controls.at(-1)).toEqual({ type: 'end' })
  })

  it('gives a hand-written source the requested position, and confirms it', async () => {
    const first = await open('/api/resume')
    await first.finished
    expect(first.messages.map(({ id }) => id)).toEqual(['row-1', 'row-2'])
    expect(first.controls[0]).toEqual({ type: 'open', heartbeatMs: 15_000 })
    const second = await open('/api/resume', { headers: { 'last-event-id': 'row-2' } })
    await second.finished
    expect(second.messages.map(({ id }) => id)).toEqual(['row-3', 'row-4'])
    expect(second.controls[0]).toEqual({ type: 'open', heartbeatMs: 15_000, position: 'row-2', resumed: true })
    expect(second.raw).toMatch(/^retry: \d+\nid: row-2\nevent: sse\n/)
  })

  it('answers a request of the server to itself with a web stream', async () => {
    const reader = await open('/api/inner')
    await reader.finished
    expect(reader.data).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    expect(reader.controls.at(-1)).toEqual({ type: 'end' })
  })

  // @guarantee clean
  it('leaves nothing open when clients go', async () => {
    const readers = await Promise.all(['/api/push', '/api/channel/gone', '/api/count?to=100000&everyMs=20'].map(path => open(path)))
    await Promise.all(readers.map(reader => reader.until(r => r.controls.length > 0)))
    expect(await stats()).toEqual({ connections: 3, heartbeats: 3, channels: 1 })
    await Promise.all(readers.map(reader => reader.close()))
    await eventually(async () => expect(await stats()).toEqual({ connections: 0, heartbeats: 0, channels: 0 }))
  })

  // @guarantee http2-head
  it('HEAD ends', async () => {
    const response = await fetch(`${server.url}/api/any`, { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    await eventually(async () => expect((await stats()).connections).toBe(0))
  })
})

describe('a server that shuts down', () => {
  // @guarantee quick-shutdown
  it('exits at once on SIGTERM while streams are open, and sends their clients a reconnect', async () => {
    const leaving = await startBuiltServer('basic')
    const readers = await Promise.all(['/api/channel/x', '/api/push', '/api/count?to=100000&everyMs=50'].map(path => SSEReader.open(leaving.url + path)))
    await Promise.all(readers.map(reader => reader.until(r => r.controls.length > 0)))
    const poll = fetch(`${leaving.url}/api/channel/polled?transport=poll&waitMs=20000`)
    await eventually(async () => expect(await stats(leaving)).toMatchObject({ channels: 2 }))
    const { code, ms } = await leaving.stop('SIGTERM')
    expect(code).toBe(0)
    // Nitro looks every 250 ms; it takes 30 s without us.
    expect(ms).toBeLessThan(5_000)
    for (const reader of readers) {
      await reader.finished
      expect(reader.controls.at(-1)).toEqual({ type: 'leave', retryMs: expect.any(Number) })
    }
    expect(await (await poll).json()).toMatchObject({ type: 'batch', messages: [], ended: false })
  })

  it('takes options from the environment, and refuses invalid ones', async () => {
    const quick = await startBuiltServer('basic', { env: { NUXT_SSE_HEARTBEAT_MS: '50' } })
    await using reader = await SSEReader.open(`${quick.url}/api/now/env`)
    // The handler's own option wins over the module's.
    await reader.until(r => r.controls[0]?.heartbeatMs === 200)
    await using other = await SSEReader.open(`${quick.url}/api/count?to=2&everyMs=60000`)
    await other.until(r => r.controls[0]?.heartbeatMs === 50 && r.comments.length > 2)
    await expect(startBuiltServer('basic', { env: { NUXT_SSE_HEARTBEAT_MS: '-1' } })).rejects.toThrow('Expected `heartbeatMs` to be a whole number of milliseconds from 1 to 2147483647, or `false`, got `-1`.')
  })

  it('takes headers from the environment as JSON, and refuses those that no stream may have', async () => {
    const served = await startBuiltServer('basic', { env: { NUXT_SSE_HEADERS: '{"X-Served-By":"a","x-number":"1","vary":"x-tenant","cache-control":"no-store"}' } })
    const answers = { '/api/count': 200, '/api/channel/headers': 200, '/api/channel/headers?transport=poll&waitMs=0': 200, '/api/raw': 200, '/__sse/probe': 200, '/api/private': 401, '/api/stats': 200 }
    for (const [path, status] of Object.entries(answers)) {
      const { headers, body, status: answered } = await fetch(served.url + path)
      await body!.cancel()
      const isStream = status === 200 && path !== '/api/stats'
      expect([path, answered, headers.get('x-served-by'), headers.get('x-number')]).toEqual([path, status, ...isStream ? ['a', '1'] : [null, null]])
      expect([headers.get('cache-control') === 'no-store', headers.get('vary')?.includes('x-tenant') ?? false]).toEqual([isStream, isStream])
    }
    await served.stop()
    await Promise.all([
      ['{"set-cookie":"a=b"}', 'Expected `headers` to be without headers that define the stream, or belong to one client or one connection, got `"set-cookie"`.'],
      ['{"x-number":1}', 'Expected `headers.x-number` to be a valid header value, got `1`.'],
      ['x-served-by: a', 'Expected `headers` to be an object of header names and string values, got `"x-served-by: a"`.'],
    ].map(([value, problem]) => expect(startBuiltServer('basic', { env: { NUXT_SSE_HEADERS: value! } })).rejects.toThrow(problem)))
  })

  it('survives half a request, and a peer that resets', async () => {
    for (const bytes of ['GET /api/count HT', 'GET /api/channel/x HTTP/1.1\r\nHost: x\r\n\r\n', 'POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{']) {
      const socket = createConnection(server.port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(bytes)
      socket.resetAndDestroy()
      await once(socket, 'close')
    }
    await eventually(async () => expect(await stats()).toEqual({ connections: 0, heartbeats: 0, channels: 0 }))
    expect(server.output()).not.toMatch(/unhandled|uncaught/i)
  })
})
