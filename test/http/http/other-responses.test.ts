import type { ClientHttp2Session, Http2Server } from 'node:http2'
import { connect, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createParser } from 'eventsource-parser'
import type { EventSourceMessage } from 'eventsource-parser'
import { defineEventHandler, toNodeListener, toWebHandler } from 'h3'
import { fetchNodeRequestHandler } from 'node-mock-http'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { SSEConnection } from '../../../src/runtime/server/connection/types'
import { eventually } from '../../support/conditions'
import { turns } from '../../support/random'
import { NOTHING, useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ retryMs: 100 })
const nothingLeft = () => eventually(() => expect(server.left()).toEqual(NOTHING))

describe('HTTP/2', () => {
  let http2: Http2Server
  let session: ClientHttp2Session
  beforeEach(async () => {
    // By the types of h3, a Node listener is one of HTTP/1; the compatibility layer is made for it.
    http2 = createServer(toNodeListener(server.app) as never)
    await new Promise<void>(resolve => http2.listen(0, '127.0.0.1', resolve))
    session = connect(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`)
    session.on('error', () => {})
  })
  afterEach(async () => {
    session.destroy()
    await new Promise(resolve => http2.close(resolve))
  })

  interface Reading { headers: Record<string, unknown>, events: EventSourceMessage[], ended: boolean, bytes: number, stream: ReturnType<ClientHttp2Session['request']> }
  function get(path: string, method = 'GET'): Reading {
    const stream = session.request({ ':path': path, ':method': method })
    const reading: Reading = { headers: {}, events: [], ended: false, bytes: 0, stream }
    const parser = createParser({ onEvent: event => void reading.events.push(event) })
    stream.on('response', headers => reading.headers = headers)
    stream.setEncoding('utf8')
    stream.on('data', (text) => {
      reading.bytes += text.length
      parser.feed(text)
    })
    stream.on('error', () => {})
    stream.on('end', () => reading.ended = true)
    return reading
  }

  // @guarantee http2-head
  it('streams every kind of source, with no header that HTTP/2 forbids', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => void warnings.push(warning)
    process.on('warning', onWarning)
    const channel = server.channel<number>('c')
    await channel.publish(1)
    server.route('/channel', () => server.channel('c'))
    server.route('/generator', async function* () {
      yield 1
    })
    server.route('/push', (_, connection) => void connection.push(1).then(() => connection.close()))
    const readings = ['/channel', '/generator', '/push'].map(path => get(path))
    await eventually(() => expect(readings.map(({ events }) => events.filter(({ event }) => event === undefined).map(({ data }) => data))).toEqual([['1'], ['1'], ['1']]))
    await channel.end()
    await eventually(() => expect(readings.map(({ ended }) => ended)).toEqual([true, true, true]))
    for (const { headers, events } of readings) {
      expect(headers).toMatchObject({ ':status': 200, 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' })
      expect(Object.keys(headers)).not.toContain('connection')
      expect(Object.keys(headers)).not.toContain('transfer-encoding')
      expect(JSON.parse(events.at(-1)!.data)).toEqual({ type: 'end' })
    }
    await turns(5)
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
    await nothingLeft()
  })

  // @guarantee http2-head
  it('HEAD ends, and an ordinary error is one', async () => {
    server.route('/', () => {})
    server.route('/missing', () => server.channel(''))
    const head = get('/', 'HEAD')
    const refused = get('/missing')
    await eventually(() => expect([head.headers[':status'], refused.headers[':status']]).toEqual([200, 400]))
  })

  it('notices a client that leaves, also before the handler is done', async () => {
    let cleaned = 0
    const gate = Promise.withResolvers<void>()
    const called = Promise.withResolvers<SSEConnection>()
    server.route('/open', () => () => void cleaned++)
    server.route('/waiting', async (_, connection) => {
      called.resolve(connection)
      await gate.promise
      return () => void cleaned++
    })
    const open = get('/open')
    await eventually(() => expect(open.events).toHaveLength(1))
    open.stream.close()
    await eventually(() => expect(cleaned).toBe(1))
    const waiting = get('/waiting')
    const connection = await called.promise
    waiting.stream.close()
    await eventually(() => expect(connection.closed).toBe(true))
    gate.resolve()
    await eventually(() => expect(cleaned).toBe(2))
    await nothingLeft()
  })

  // @guarantee back-pressure, bytes-not-chunks
  it('does not pull a source for a client that does not read, and loses nothing', async () => {
    let pulled = 0
    server.route('/', async function* () {
      while (pulled < 500) yield `${++pulled}${'x'.repeat(100_000)}`
    })
    const reading = get('/')
    await eventually(() => expect(reading.events.length).toBeGreaterThan(0))
    reading.stream.pause()
    await eventually(() => expect(server.context.connections.size).toBe(1))
    let last = -1
    await eventually(async () => {
      const now = pulled
      const stood = now === last
      last = now
      await turns(10)
      expect(stood).toBe(true)
    })
    expect(pulled).toBeLessThan(200)
    const [connection] = server.context.connections
    expect(connection!.outbox.bufferedBytes).toBeLessThanOrEqual(1_048_576)
    reading.stream.resume()
    await eventually(() => expect(reading.ended).toBe(true), 10_000)
    expect(reading.events.filter(({ event }) => event === undefined).map(({ data }) => Number.parseInt(JSON.parse(data)))).toEqual(Array.from({ length: 500 }, (_, i) => i + 1))
  })
})

const fetchers: [string, (path: string, init?: RequestInit) => Promise<Response>][] = [
  ['h3 toWebHandler', (path, init) => toWebHandler(server.app)(new Request(`http://x${path}`, init))],
  ['a request that Nitro makes to itself', (path, init) => fetchNodeRequestHandler(toNodeListener(server.app) as never, path, init as never)],
]

describe.each(fetchers)('without a socket: %s', (_, fetchIt) => {
  async function read(response: Response): Promise<EventSourceMessage[]> {
    const events: EventSourceMessage[] = []
    const parser = createParser({ onEvent: event => void events.push(event) })
    const decoder = new TextDecoder()
    for await (const chunk of response.body! as unknown as AsyncIterable<Uint8Array>) parser.feed(decoder.decode(chunk, { stream: true }))
    return events
  }

  it('streams every kind of source to its end', async () => {
    const channel = server.channel<number>('c')
    await channel.publish(1)
    server.route('/channel', () => server.channel('c'))
    server.route('/generator', async function* () {
      yield 1
    })
    server.route('/push', (_, connection) => void connection.push(1).then(() => connection.close()))
    server.use('/raw', defineEventHandler((event) => {
      const connection = server.raw(event)
      void connection.push('1').then(() => connection.close())
      return connection.send()
    }))
    for (const path of ['/channel', '/generator', '/push', '/raw']) {
      const response = await fetchIt(path)
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe('text/event-stream')
      expect(response.headers.get('cache-control')).toBe('no-cache, no-transform')
      const reading = read(response)
      if (path === '/channel') await channel.end()
      const events = await reading
      expect([path, ...events.map(({ data }) => data).slice(1)]).toEqual([path, '1', '{"type":"end"}'])
    }
    await nothingLeft()
  })

  it('releases everything when the body is cancelled', async () => {
    let released = 0
    server.route('/generator', async function* (_event: unknown, connection: SSEConnection) {
      try {
        yield 1
        await new Promise(resolve => connection.signal.addEventListener('abort', resolve))
      }
      finally {
        released++
      }
    })
    server.route('/push', () => () => void released++)
    server.route('/channel', (_, connection) => {
      connection.onClosed(() => released++)
      return server.channel('c')
    })
    for (const path of ['/generator', '/push', '/channel']) {
      const response = await fetchIt(path)
      const reader = response.body!.getReader()
      await reader.read()
      await reader.cancel()
    }
    await eventually(() => expect(released).toBe(3))
    await nothingLeft()
  })

  it('is over when its end was collected, and cut when its end stays uncollected for ten seconds', async () => {
    const opened: SSEConnection[] = []
    server.route('/push', (_, connection) => {
      opened.push(connection)
      for (let i = 0; i < 10; i++) void connection.push('x'.repeat(10_000))
    })
    const [collected, left] = await Promise.all([fetchIt('/push'), fetchIt('/push')])
    await turns(3)
    const over: number[] = []
    // Requested only now: the timer of the connections is all that is left.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const closing = opened.map((connection, index) => connection.close().then(() => over.push(index)))
      await turns(3)
      expect(over).toEqual([])
      expect((await read(collected)).length).toBe(12)
      await turns(3)
      expect(over).toEqual([0])
      await vi.advanceTimersByTimeAsync(9_900)
      expect(over).toEqual([0])
      await vi.advanceTimersByTimeAsync(200)
      await Promise.all(closing)
      expect(over).toEqual([0, 1])
    }
    finally {
      vi.useRealTimers()
    }
    await expect(left.text()).rejects.toThrow()
    await nothingLeft()
  })

  // @guarantee back-pressure, stuck-push
  it('pulls a source only as the body is read; unawaited pushes end with a `leave`', async () => {
    let pulled = 0
    server.route('/generator', async function* () {
      while (pulled < 300) yield `${++pulled}${'x'.repeat(100_000)}`
    })
    const sent: Promise<boolean>[] = []
    server.route('/push', (_, connection) => {
      for (let i = 0; i < 300; i++) sent.push(connection.push('x'.repeat(100_000)))
    })
    const channel = server.channel<string>('c', { retention: { maxMessages: 10_000 } })
    for (let i = 1; i <= 300; i++) await channel.publish(`${i}${'x'.repeat(10_000)}`)
    await channel.end()
    server.route('/channel', () => server.channel('c'))

    const response = await fetchIt('/generator')
    await turns(20)
    expect(pulled).toBeLessThan(5)
    expect((await read(response)).filter(({ event }) => event === undefined).map(({ data }) => Number.parseInt(JSON.parse(data)))).toEqual(Array.from({ length: 300 }, (_, i) => i + 1))

    const left = await read(await fetchIt('/push'))
    expect(JSON.parse(left.at(-1)!.data)).toMatchObject({ type: 'leave' })
    const answers = await Promise.all(sent)
    expect(answers).toContain(false)
    expect(left.length).toBeLessThan(15)

    const whole = await read(await fetchIt('/channel'))
    expect(whole.filter(({ event }) => event === undefined).map(({ data }) => Number.parseInt(JSON.parse(data)))).toEqual(Array.from({ length: 300 }, (_, i) => i + 1))
    await nothingLeft()
  })

  it('does not transfer the bytes that other readers still need', async () => {
    const channel = server.channel<string>('c')
    server.route('/', () => server.channel('c'))
    const bodies = (await Promise.all([fetchIt('/'), fetchIt('/')])).map(response => response.body!.getReader())
    for (const body of bodies) await body.read()
    await channel.publish('shared')
    const texts: string[] = []
    for (const body of bodies) {
      const { value } = await body.read()
      texts.push(new TextDecoder().decode(value))
      structuredClone(value, { transfer: [value!.buffer] })
    }
    expect(texts[0]).toContain('"shared"')
    expect(texts[1]).toBe(texts[0])
    for (const body of bodies) await body.cancel()
    await nothingLeft()
  })

  it('polls, refuses, and answers HEAD as on a socket', async () => {
    const channel = server.channel<number>('c')
    await channel.publish(1)
    server.route('/channel', () => server.channel('c'))
    server.route('/generator', async function* () {
      yield 1
    })
    expect(await (await fetchIt('/channel?transport=poll&waitMs=0')).json()).toMatchObject({ type: 'batch', messages: [{ data: 1 }] })
    expect((await fetchIt('/channel?waitMs=0', { headers: { accept: 'application/json' } })).headers.get('content-type')).toBe('application/json')
    expect((await fetchIt('/generator?transport=poll')).status).toBe(406)
    const streamed = await fetchIt('/generator', { headers: { accept: 'application/json' } })
    expect([streamed.headers.get('content-type'), (await read(streamed)).length]).toEqual(['text/event-stream', 3])
    const head = await fetchIt('/generator', { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.headers.get('content-type')).toBe('text/event-stream')
    await channel.end()
    expect((await fetchIt('/channel?position=1')).status).toBe(204)
    await nothingLeft()
  })
})
