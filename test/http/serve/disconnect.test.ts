import { defineEventHandler, readBody, setResponseHeaders } from 'h3'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { SSEConnection } from '../../../src/runtime/server/connection/types'
import { eventually } from '../../support/conditions'
import { watchedDriver } from '../../support/drivers'
import { MovingClock } from '../../support/moving-clock'
import { RawSocket } from '../../support/raw-http'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import { NOTHING, startSSEServer, useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ retryMs: 100 })

const nothingLeft = () => eventually(() => expect(server.left()).toEqual(NOTHING))

describe('the start of a stream', () => {
  // @guarantee early-headers
  it('headers and first bytes leave before the source has produced anything, for every kind of source', async () => {
    const never = new Promise<never>(() => {})
    server.route('/generator', async function* () {
      yield await never
    })
    server.route('/push', () => {})
    server.route('/stream', () => new ReadableStream())
    server.route('/channel', () => server.channel('empty'))
    server.use('/raw', defineEventHandler(event => server.raw(event).send()))
    const said: Record<string, string> = { '/generator': '"restarts":true', '/push': '"restarts":false', '/stream': '"restarts":true', '/raw': '"restarts":false,"text":true' }
    for (const path of ['/generator', '/push', '/stream', '/channel', '/raw']) {
      const socket = await RawSocket.get(server.url, path)
      await socket.until(({ received }) => received.includes('\n\n'))
      const [head, body] = socket.received.split('\r\n\r\n') as [string, string]
      expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
      expect(head.toLowerCase()).toContain('\r\ncontent-type: text/event-stream\r\n')
      expect(head.toLowerCase()).toContain('\r\ncache-control: no-cache, no-transform\r\n')
      expect(head.toLowerCase()).toContain('\r\nx-accel-buffering: no\r\n')
      expect(head.toLowerCase()).not.toContain('transfer-encoding')
      const id = path === '/channel' ? /id: (e\w{8}\.0)\n/.exec(body)![1] : undefined
      expect(body.replace(/^retry: (\d+)\n/, (_, retry) => Number(retry) >= 50 && Number(retry) <= 150 ? '' : `retry out of range: ${retry}`)).toBe(id
        ? `id: ${id}\nevent: sse\ndata: {"type":"open","heartbeatMs":15000,"position":"${id}","resumed":false}\n\n`
        : `event: sse\ndata: {"type":"open","heartbeatMs":15000,${said[path]}}\n\n`)
      socket.destroy()
    }
    await nothingLeft()
  })

  it('jitters the delay of a reconnect per connection', async () => {
    server.route('/', (_, connection) => void connection.close(), { retryMs: 2_000 })
    const delays = await Promise.all(Array.from({ length: 40 }, async () => {
      const reader = await SSEReader.open(server.url)
      await reader.finished
      return reader.retryMs!
    }))
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(1_000)
    expect(Math.max(...delays)).toBeLessThanOrEqual(3_000)
    expect(new Set(delays).size).toBeGreaterThan(10)
  })

  // @guarantee http2-head
  it('HEAD ends, with the headers of a stream, and starts nothing', async () => {
    let started = 0
    let released = 0
    server.route('/generator', async function* () {
      started++
      yield 1
    })
    server.route('/push', (_, connection) => {
      connection.onClosed(() => released++)
      return () => void released++
    })
    server.route('/channel', () => server.channel('c'))
    for (const path of ['/generator', '/push', '/channel']) {
      const response = await fetch(server.url + path, { method: 'HEAD' })
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe('text/event-stream')
    }
    expect([started, released]).toEqual([0, 2])
    await nothingLeft()
  })
})

describe('OPTIONS', () => {
  it('answers 204 and never runs the handler, whatever the request contains', async () => {
    let ran = 0
    const run = (result?: unknown) => () => {
      ran++
      return result
    }
    server.route('/push', run())
    server.route('/resumable', run((async function* () {})()), { resumable: true })
    server.route('/channel', run(server.channel('c')))
    server.route('/full', run(), { maxConnections: 1 })
    const headers = { 'origin': 'https://other.example', 'access-control-request-method': 'GET' }
    const preflight = (path: string, more: HeadersInit = {}) => fetch(server.url + path, { method: 'OPTIONS', headers: { ...headers, ...more } })
    await using reader = await SSEReader.open(`${server.url}/full`)
    await reader.until(r => r.controls.length === 1)
    ran = 0
    for (const path of ['/push', '/resumable', '/channel', '/full', '/push?position=1&position=2', '/push?transport=pigeon']) {
      const response = await preflight(path, { accept: 'image/png' })
      expect([path, response.status, response.headers.get('content-type'), response.headers.get('cache-control')]).toEqual([path, 204, null, 'no-store'])
    }
    expect([ran, server.context.producers.size]).toEqual([0, 0])
  })

  it('keeps the headers that middleware has set', async () => {
    server.app.stack.unshift({ route: '/', handler: defineEventHandler(event => setResponseHeaders(event, { 'access-control-allow-origin': '*', 'vary': 'origin' })) })
    server.route('/', () => {})
    const response = await fetch(server.url, { method: 'OPTIONS' })
    expect([response.status, response.headers.get('access-control-allow-origin'), response.headers.get('vary')]).toEqual([204, '*', 'origin, accept, last-event-id'])
  })
})

describe('a client that leaves', () => {
  // @guarantee post-disconnect
  it.each(['generator', 'push', 'channel', 'raw'])('is noticed after the body of a POST was read, and cleaned up once: %s', async (kind) => {
    let cleaned = 0
    let body: unknown
    server.route('/generator', async (event, connection) => {
      body = await readBody(event)
      connection.onClosed(() => cleaned++)
      return (async function* () {
        yield 1
        await new Promise(resolve => connection.signal.addEventListener('abort', resolve))
      })()
    })
    server.route('/push', async (event) => {
      body = await readBody(event)
      return () => void cleaned++
    })
    server.route('/channel', async (event, connection) => {
      body = await readBody(event)
      connection.onClosed(() => cleaned++)
      return server.channel('c')
    })
    // Also made before the body is read, which with h3 ends the stream at once.
    server.use('/raw', defineEventHandler(async (event) => {
      const connection = server.raw(event)
      connection.onClosed(() => cleaned++)
      body = await readBody(event)
      await connection.push('x')
      return connection.send()
    }))
    const reader = await SSEReader.open(`${server.url}/${kind}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"prompt":"hi"}' })
    await reader.until(r => r.controls.length === 1)
    expect(body).toEqual({ prompt: 'hi' })
    await turns(20)
    expect(cleaned).toBe(0)
    await reader.close()
    await eventually(() => expect(cleaned).toBe(1))
    await nothingLeft()
    await turns(5)
    expect(cleaned).toBe(1)
  })

  // @guarantee early-disconnect
  it.each(['generator', 'stream', 'push', 'channel', 'throws'])('before the awaits of the handler are done: nothing starts, everything is released: %s', async (kind) => {
    const gate = Promise.withResolvers<void>()
    const called = Promise.withResolvers<SSEConnection>()
    let started = 0
    let released = 0
    const finished = Promise.withResolvers<void>()
    server.route('/', async (_, connection) => {
      called.resolve(connection)
      connection.onClosed(() => released++)
      await gate.promise
      queueMicrotask(finished.resolve)
      switch (kind) {
        case 'generator': return (async function* () {
          started++
          yield 1
        })()
        case 'stream': return new ReadableStream({ pull: () => void started++, cancel: () => void released++ }, { highWaterMark: 0 })
        case 'push': return () => void released++
        case 'channel': return server.channel('orphan')
        default: throw new Error('after the client had left')
      }
    })
    const socket = await RawSocket.get(server.url, '/')
    const connection = await called.promise
    socket.destroy()
    await eventually(() => expect(connection.closed).toBe(true))
    expect([connection.closeReason, connection.signal.aborted, released]).toEqual(['disconnect', true, 1])
    expect(await connection.push(1)).toBe(false)
    gate.resolve()
    await finished.promise
    await nothingLeft()
    await turns(5)
    expect(started).toBe(0)
    expect(released).toBe(kind === 'stream' || kind === 'push' ? 2 : 1)
    expect(server.reported).toHaveLength(kind === 'throws' ? 1 : 0)
  })

  // @guarantee early-disconnect
  it('before there was a connection at all', async () => {
    const gate = Promise.withResolvers<void>()
    const called = Promise.withResolvers<void>()
    const answered = Promise.withResolvers<unknown[]>()
    server.use('/', defineEventHandler(async (event) => {
      called.resolve()
      await gate.promise
      const connection = server.raw(event)
      let cleaned = 0
      connection.onClosed(() => cleaned++)
      const pushed = await connection.push('x')
      await connection.send()
      answered.resolve([cleaned, pushed, connection.closeReason])
    }))
    const socket = await RawSocket.get(server.url, '/')
    await called.promise
    socket.destroy()
    await eventually(() => expect(server.sockets.size).toBe(0))
    gate.resolve()
    expect(await answered.promise).toEqual([1, false, 'disconnect'])
    await nothingLeft()
  })

  // @guarantee early-disconnect
  it.each(['stream', 'poll'])('while the driver was reading its channel: %s', async (transport) => {
    const driver = watchedDriver()
    driver.hold()
    const slow = await startSSEServer({}, driver)
    try {
      slow.route('/', () => slow.channel('c'))
      const socket = await RawSocket.get(slow.url, `/?transport=${transport}`)
      await eventually(() => expect(driver.reads).toBe(1))
      socket.destroy()
      await eventually(() => expect(slow.sockets.size).toBe(0))
      driver.release()
      await eventually(() => expect(slow.left()).toEqual(NOTHING))
      expect(slow.reported).toEqual([])
    }
    finally {
      await slow.close()
    }
  })

  it('an abort error of a handler or a source that listens to the signal is not reported', async () => {
    const waitForAbort = (signal: AbortSignal) => new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    server.route('/handler', async (_, connection) => {
      await connection.push(1)
      await waitForAbort(connection.signal)
    })
    server.route('/generator', async function* (_event: unknown, connection: SSEConnection) {
      yield 1
      await waitForAbort(connection.signal)
    })
    for (const path of ['/handler', '/generator']) {
      const reader = await SSEReader.open(server.url + path)
      await reader.until(r => r.data.length === 1)
      await reader.close()
    }
    await nothingLeft()
    expect(server.reported).toEqual([])
  })

  it('a poll whose client leaves is not waited for', async () => {
    server.route('/', () => server.channel('c'))
    const socket = await RawSocket.get(server.url, '/?transport=poll&waitMs=20000')
    await eventually(() => expect(server.context.hub.size).toBe(1))
    socket.destroy()
    await nothingLeft()
  })

  // @guarantee vanished-peer
  it('a connection that the peer half-closes is over', async () => {
    let reason: unknown
    server.route('/', (_, connection) => () => void (reason = connection.closeReason))
    const socket = await RawSocket.get(server.url, '/')
    await socket.until(({ received }) => received.includes('"open"'))
    socket.socket.end()
    await eventually(() => expect(reason).toBe('disconnect'))
    socket.destroy()
    await nothingLeft()
  })

  // @guarantee dead-heartbeat, vanished-peer
  it('a heartbeat to a peer that resets is the write that detects it, and throws nowhere', async () => {
    let closed = 0
    server.route('/', () => () => void closed++, { heartbeatMs: 10 })
    const sockets = await Promise.all(Array.from({ length: 20 }, () => RawSocket.get(server.url, '/')))
    await Promise.all(sockets.map(socket => socket.until(({ received }) => received.includes(':\n\n'))))
    for (const { socket } of sockets) socket.resetAndDestroy()
    await eventually(() => expect(closed).toBe(20))
    await nothingLeft()
    expect(server.reported).toEqual([])
  })

  // @guarantee clean
  it('requests that follow a stream on the same socket (pipelining) are released with it', async () => {
    let opened = 0
    let closed = 0
    let produced = 0
    server.route('/push', () => {
      opened++
      return () => void closed++
    })
    server.route('/generator', async function* () {
      opened++
      try {
        while (true) {
          produced++
          yield 'x'.repeat(1_000)
        }
      }
      finally {
        closed++
      }
    })
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
    const socket = await RawSocket.open(server.url, get('/push') + get('/generator') + get('/push'))
    await socket.until(({ received }) => received.includes('"open"'))
    await eventually(() => expect(opened).toBe(3))
    socket.destroy()
    await eventually(() => expect(closed).toBe(3))
    expect(produced).toBeLessThan(2_000)
    await nothingLeft()
  })

  it('one socket takes any number of requests, without a warning of Node in the log', async () => {
    const warnings: string[] = []
    const onWarning = ({ name }: Error) => void warnings.push(name)
    process.on('warning', onWarning)
    server.route('/', () => {})
    server.route('/poll', () => server.channel('c'))
    const polls = 'GET /poll?transport=poll&position=now HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(30)
    const socket = await RawSocket.open(server.url, `GET / HTTP/1.1\r\nHost: x\r\n\r\n${polls}`)
    await eventually(() => expect(server.context.insight.polls).toBe(30))
    socket.destroy()
    await eventually(() => expect(server.context.insight.polls).toBe(0))
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
    await nothingLeft()
  })

  it('serves a request that was sent after a short one on the same socket', async () => {
    server.route('/poll', () => server.channel('c'))
    server.route('/stream', async function* () {
      yield 'streamed'
    })
    const gate = Promise.withResolvers<void>()
    server.route('/slow-poll', async () => {
      await gate.promise
      return server.channel('c')
    })
    const socket = await RawSocket.open(server.url, 'GET /slow-poll?transport=poll&waitMs=0 HTTP/1.1\r\nHost: x\r\n\r\nGET /stream HTTP/1.1\r\nHost: x\r\n\r\n')
    await turns(10)
    gate.resolve()
    await socket.until(({ received }) => received.includes('"batch"') && received.includes('"streamed"') && received.includes('"end"'))
    socket.destroy()
    await nothingLeft()
  })
})

describe('heartbeats', () => {
  // @guarantee silence-cut
  it('are sent only when the connection is otherwise silent', async () => {
    const clock = new MovingClock()
    clock.install()
    onTestFinished(() => clock.uninstall())
    const gate = Promise.withResolvers<void>()
    const items = Array.from({ length: 20 }, () => Promise.withResolvers<void>())
    server.route('/', async function* (_event: unknown, connection: SSEConnection) {
      for (const [i, { promise }] of items.entries()) {
        await promise
        yield i
      }
      await Promise.race([gate.promise, new Promise(resolve => connection.signal.addEventListener('abort', resolve))])
    }, { heartbeatMs: 20_000 })
    await using reader = await SSEReader.open(server.url)
    for (const [i, { resolve }] of items.entries()) {
      resolve()
      await reader.until(r => r.data.length === i + 1)
      await clock.move(15_000)
    }
    expect(reader.comments).toEqual([])
    for (const count of [1, 2]) {
      await clock.move(20_000)
      await reader.until(r => r.comments.length === count)
    }
    expect(reader.comments).toEqual(['', ''])
    expect(reader.raw.endsWith('\n\n:\n\n:\n\n')).toBe(true)
    gate.resolve()
  })

  it('can be turned off', async () => {
    server.route('/', () => {}, { heartbeatMs: false })
    await using reader = await SSEReader.open(server.url)
    await reader.until(r => r.controls.length === 1)
    expect(reader.controls[0]).toEqual({ type: 'open', heartbeatMs: 0, restarts: false })
    expect(server.context.heartbeats.size).toBe(0)
  })
})
