import { defineEventHandler, readBody, readRawBody } from 'h3'
import type { H3Event } from 'h3'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { eventually } from '../../support/conditions'
import { RawSocket } from '../../support/raw-http'
import { SSEReader } from '../../support/read-sse'
import { NOTHING, useSSEServer } from '../../support/sse-server'
import { trackTimers } from '../../support/track-timers'

const KB = 1_000
const MB = 1_000_000

// No heartbeat would detect a disconnected client within this test.
const server = useSSEServer({ heartbeatMs: false, pollWaitMs: 60_000 })
beforeEach(() => {
  server.route('/push', () => {})
  server.route('/channel', () => server.channel('c'))
  server.route('/generator', async function* (_event: H3Event, connection: { signal: AbortSignal }) {
    yield 1
    await new Promise(resolve => connection.signal.addEventListener('abort', resolve))
  } as never)
  server.route('/busy', (_, connection) => new Promise<void>(resolve => connection.signal.addEventListener('abort', () => resolve())))
  server.use('/raw', defineEventHandler(event => server.raw(event).send()))
})

const head = (path: string, ...headers: string[]) => [`POST ${path} HTTP/1.1`, 'host: x', ...headers, '', ''].join('\r\n')
const sized = (path: string, size: number) => `${head(path, `content-length: ${size}`)}${'x'.repeat(size)}`
const chunked = (path: string, size: number) => `${head(path, 'transfer-encoding: chunked')}${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`

describe('a client that leaves while its body is unread', () => {
  const requests: [string, (path: string) => string][] = [
    ['20 kB', path => sized(path, 20 * KB)],
    ['300 kB', path => sized(path, 300 * KB)],
    ['1 MB', path => sized(path, MB)],
    ['300 kB in chunks', path => chunked(path, 300 * KB)],
    ['300 kB of an upload that was cut off', path => sized(path, 300 * KB).slice(0, -10 * KB)],
  ]
  for (const path of ['/push', '/channel', '/generator', '/raw']) {
    it.each(requests)(`is noticed at once, and everything released: ${path}, %s`, async (_, request) => {
      const socket = await RawSocket.open(server.url)
      socket.socket.write(request(path))
      await socket.until(s => s.received.includes('"type":"open"'))
      socket.destroy()
      await eventually(() => expect(server.left()).toEqual(NOTHING), 5_000)
    })
  }

  it.each(['/channel?transport=poll', '/busy', '/busy?transport=poll'])('also before there is an answer: %s', async (path) => {
    server.route('/limited', () => {}, { maxConnections: 1 })
    let over = 0
    server.server.on('request', (_, response) => response.on('close', () => over++))
    const socket = await RawSocket.open(server.url)
    socket.socket.write(sized(path, 300 * KB))
    await eventually(() => expect(server.sockets.size).toBe(1))
    await eventually(() => expect([...server.sockets][0]!.bytesRead).toBeGreaterThan(300 * KB), 5_000)
    socket.destroy()
    await eventually(() => expect(over).toBe(1), 5_000)
  })
})

describe('a body that the handler reads', () => {
  const text = JSON.stringify({ text: 'é'.repeat(200 * KB) })
  const late: [string, (event: H3Event) => Promise<unknown>][] = [
    ['with readBody', event => readBody(event)],
    ['as bytes', async event => JSON.parse((await readRawBody(event, false))!.toString())],
    ['as a stream of Node', async (event) => {
      const chunks: Buffer[] = []
      for await (const chunk of event.node.req) chunks.push(chunk)
      return JSON.parse(Buffer.concat(chunks).toString())
    }],
  ]
  it.each(late)('is whole when it is read after the stream has started: %s', async (_, read) => {
    server.route('/', async function* (event: H3Event) {
      yield 'reading'
      yield (await read(event) as { text: string }).text.length
    } as never)
    await using reader = await SSEReader.open(server.url, { method: 'POST', body: text, headers: { 'content-type': 'application/json' } })
    await reader.finished
    expect(reader.data).toEqual(['reading', 200 * KB])
  })

  it('of 5 MB is whole, read before and after the start', async () => {
    const body = JSON.stringify('x'.repeat(5 * MB))
    server.route('/before', async event => [(await readRawBody(event, false))!.length][Symbol.iterator]())
    server.route('/after', async function* (event: H3Event) {
      yield 'reading'
      yield (await readRawBody(event, false))!.length
    } as never)
    for (const path of ['/before', '/after']) {
      await using reader = await SSEReader.open(server.url + path, { method: 'POST', body })
      await reader.finished
      expect(reader.data.at(-1)).toBe(5 * MB + 2)
    }
  })

  it('Expect: 100-continue is answered, and the body read', async () => {
    server.route('/', async event => [(await readBody(event) as string).length][Symbol.iterator]())
    const socket = await RawSocket.open(server.url)
    socket.socket.write(head('/', 'expect: 100-continue', 'content-length: 300000', 'content-type: text/plain'))
    await socket.until(s => s.received.includes('100 Continue'))
    socket.socket.write('x'.repeat(300 * KB))
    await socket.until(s => s.received.includes('data: 300000\n'))
  })
})

describe('the timer of an unread body', () => {
  afterEach(() => vi.unstubAllGlobals())

  interface Ending { socket: RawSocket, over: () => void }
  const ends: [string, string, (ending: Ending) => unknown][] = [
    ['the stream ends', '/ending', ({ over }) => over()],
    ['createSSEConnection closes', '/raw-ending', ({ over }) => over()],
    ['the poll is answered', '/channel?transport=poll', () => server.channel('c').publish(1)],
    ['the server shuts down: a stream', '/push', () => server.context.leave()],
    ['the server shuts down: a poll', '/channel?transport=poll', () => server.context.leave()],
    ['the server shuts down: createSSEConnection', '/raw', () => server.context.leave()],
  ]
  // The departure of the client of a longer body is detected when the body is thrown away: see below.
  const leaves: typeof ends = ['/push', '/raw', '/busy'].map(path => [`the client of ${path} leaves`, path, ({ socket }) => socket.destroy()])
  const all = [300 * KB, 3 * MB].flatMap(size => [...ends, ...size < MB ? leaves : []].map(([what, path, end]) => [what, size, path, end] as const))

  it.each(all)('is cleared when %s (%d bytes)', async (_, size, path, end) => {
    const timers = trackTimers('/unread-body.ts')
    const { promise, resolve: over } = Promise.withResolvers<void>()
    server.route('/ending', async function* () {
      yield 1
      await promise
    } as never)
    server.use('/raw-ending', defineEventHandler((event) => {
      const connection = server.raw(event)
      void promise.then(() => connection.close())
      return connection.send()
    }))
    const socket = await RawSocket.open(server.url)
    socket.socket.write(sized(path, size))
    await eventually(() => expect(timers.size).toBe(1))
    await end({ socket, over })
    await eventually(() => expect([timers.size, server.left()]).toEqual([0, NOTHING]), 5_000)
    socket.destroy()
  })
})

describe('an unread body of more than 1 MiB', () => {
  it('is thrown away after ten seconds: a disconnect is detected, and a later read fails with the reason', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const late = Promise.withResolvers<void>()
      let read: unknown
      server.route('/', async (event, connection) => {
        void late.promise.then(() => readBody(event)).catch(error => read = error)
        await connection.push(1)
      })
      const socket = await RawSocket.open(server.url)
      socket.socket.write(sized('/', 3 * MB))
      await socket.until(s => s.received.includes('data: 1\n'))
      const [accepted] = server.sockets
      await eventually(() => expect(accepted!.bytesRead).toBeGreaterThan(MB))
      await vi.advanceTimersByTimeAsync(9_000)
      expect(accepted!.bytesRead).toBeLessThan(3 * MB)
      await vi.advanceTimersByTimeAsync(2_000)
      await eventually(() => expect(accepted!.bytesRead).toBeGreaterThan(3 * MB))
      late.resolve()
      await eventually(() => expect(read).toMatchObject({ code: 'BODY_DISCARDED' }))
      socket.destroy()
      await eventually(() => expect(server.left()).toEqual(NOTHING), 5_000)
      expect(vi.getTimerCount()).toBe(0)
    }
    finally {
      vi.useRealTimers()
    }
  })
})
