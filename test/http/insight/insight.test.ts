import { createError, defineEventHandler } from 'h3'
import { createHooks } from 'hookable'
import { beforeEach, describe, expect, it } from 'vitest'
import type { SSEClosed, SSEErrorSeen, SSEGapTold, SSEHooks, SSEOpened, SSEPublished } from '../../../src/runtime/server/insight/hooks'
import type { SSEConnection } from '../../../src/runtime/server/connection/types'
import type { SSEStats } from '../../../src/runtime/server/context/stats'
import { readStats } from '../../../src/runtime/server/context/stats'
import { SSEError } from '../../../src/runtime/shared/errors'
import { eventually } from '../../support/conditions'
import { RawSocket } from '../../support/raw-http'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

interface Told { open: SSEOpened[], close: SSEClosed[], publish: SSEPublished[], gap: SSEGapTold[], error: SSEErrorSeen[] }

const server = useSSEServer({ retryMs: 20, heartbeatMs: false })
let told: Told
let hooks: ReturnType<typeof createHooks<SSEHooks>>

beforeEach(() => {
  hooks = createHooks<SSEHooks>()
  const all: Told = told = { open: [], close: [], publish: [], gap: [], error: [] }
  hooks.hook('sse:open', opened => void all.open.push(opened))
  hooks.hook('sse:close', closed => void all.close.push(closed))
  hooks.hook('sse:publish', published => void all.publish.push(published))
  hooks.hook('sse:gap', gap => void all.gap.push(gap))
  hooks.hook('sse:error', seen => void all.error.push(seen))
  connect(hooks)
})

function connect({ callHook, callHookWith }: typeof hooks): void {
  server.context.insight.hooks = {
    isHeard: name => (callHookWith as (...args: unknown[]) => boolean)((listeners: unknown[]) => listeners.length > 0, name),
    call: callHook as (name: string, payload: unknown) => unknown,
  }
}

const stats = () => readStats(server.context)

/** Nothing is open any more. */
const zero: Partial<SSEStats> = { connections: 0, polls: 0, parkedReaders: 0, channels: 0 }

describe('several channels', () => {
  it('are named in `sse:open` and `sse:close`, and the one with the gap in `sse:gap`', async () => {
    server.route('/live', () => server.channels({ notices: server.channel('user:1'), feed: server.channel('feed') }))
    const asked = 'notices:now,feed:gone.5'
    await using reader = await SSEReader.open(`${server.url}/live`, { headers: { 'last-event-id': asked } })
    await reader.until(({ controls }) => controls.length === 2)
    const position = reader.controls[0]!.position as string
    const opened = { channel: 'user:1, feed', channels: { notices: 'user:1', feed: 'feed' }, position, resumed: false }
    expect(told.open).toMatchObject([opened])
    expect(told.gap).toEqual([{ channel: 'feed', gap: { reason: 'epoch', missed: null, position: expect.any(String) }, transport: 'stream' }])
    expect(stats()).toMatchObject({ connections: 1, channels: 2, gaps: { epoch: 1 } })
    await fetch(`${server.url}/live?transport=poll&waitMs=0&position=${asked}`)
    expect(told.gap[1]).toEqual({ ...told.gap[0], transport: 'poll' })
    await reader.close()
    await eventually(() => expect(told.close).toMatchObject([{ ...opened, reason: 'disconnect' }]))
    expect(stats()).toMatchObject({ ...zero, pollsTotal: 1 })
  })
})

describe('sse:open and sse:close', () => {
  const ways: [reason: SSEClosed['reason'], code: string | undefined, end: (connection: SSEConnection, reader: SSEReader) => unknown][] = [
    ['end', undefined, connection => connection.close()],
    ['leave', undefined, connection => connection.leave()],
    ['disconnect', undefined, (_, reader) => reader.close()],
  ]

  it.each(ways)('fire once each when a stream ends by %s, with its figures', async (reason, code, end) => {
    let connection!: SSEConnection
    server.route('/push/:id', (_, one) => {
      connection = one
    })
    await using reader = await SSEReader.open(`${server.url}/push/7?token=x`)
    void connection.push('one')
    void connection.push('two')
    void connection.comment('not a message')
    await reader.until(({ data, comments }) => data.length === 2 && comments.length === 1)
    expect(told.open).toMatchObject([{ path: '/push/7?token=x', route: '/push/:id', resumed: false }])
    expect(told.open[0]!.event.path).toBe('/push/7?token=x')
    expect(stats()).toMatchObject({ connections: 1, connectionsTotal: 1, messagesSent: 2, bytesSent: reader.raw.length })
    void end(connection, reader)
    await reader.finished
    await eventually(() => expect(told.close).toHaveLength(1))
    expect(told.close[0]).toMatchObject({ ...told.open[0], reason, code, messages: 2, bytes: reader.raw.length, durationMs: expect.any(Number) })
    expect(told.open).toHaveLength(1)
    expect(stats()).toMatchObject({ ...zero, connectionsTotal: 1, closed: { [reason]: 1 }, messagesSent: 2, bytesSent: reader.raw.length })
  })

  it('carry the code of an error; an error that the client does not receive is an sse:error as well', async () => {
    server.route('/shown', async function* () {
      yield 1
      throw new SSEError('NO_PAPER', 'Out of paper.')
    })
    server.route('/private', async function* () {
      yield 1
      throw new Error('secret')
    })
    for (const path of ['/shown', '/private']) await (await SSEReader.open(server.url + path)).finished
    await eventually(() => expect(told.close).toHaveLength(2))
    expect(told.close).toMatchObject([{ reason: 'error', code: 'NO_PAPER', messages: 1 }, { reason: 'error', code: 'SOURCE_FAILED', messages: 1 }])
    expect(told.error).toEqual([{ error: new Error('secret'), code: 'UNKNOWN', where: 'source' }])
    expect(stats()).toMatchObject({ ...zero, closed: { end: 0, error: 2, leave: 0, disconnect: 0 } })
  })

  it('of a channel have its name and position, and count the messages in shared bytes', async () => {
    const channel = server.channel('feed')
    const ids = [await channel.publish('a'), await channel.publish('b'), await channel.publish('c')]
    server.route('/feed', () => channel)
    const readers = [await SSEReader.open(`${server.url}/feed`), await SSEReader.open(`${server.url}/feed`, { headers: { 'last-event-id': ids[0]! } })]
    await channel.end()
    for (const reader of readers) await reader.finished
    await eventually(() => expect(told.close).toHaveLength(2))
    const byMessages = told.close.sort((one, other) => other.messages - one.messages)
    expect(byMessages).toMatchObject([
      { channel: 'feed', resumed: false, reason: 'end', messages: 3, bytes: readers[0]!.raw.length },
      { channel: 'feed', resumed: true, position: ids[0], reason: 'end', messages: 2, bytes: readers[1]!.raw.length },
    ])
    expect(stats()).toMatchObject({ ...zero, messagesSent: 5, published: 3 })
  })

  it('fire for createSSEConnection, and count every message of an array', async () => {
    server.use('/raw', defineEventHandler((event) => {
      const raw = server.raw(event)
      void raw.push(['a', 'b', 'ü']).then(() => raw.close())
      return raw.send()
    }))
    const reader = await SSEReader.open(`${server.url}/raw`)
    await reader.finished
    await eventually(() => expect(told.close).toHaveLength(1))
    expect(told.close[0]).toMatchObject({ path: '/raw', reason: 'end', messages: 3, bytes: new TextEncoder().encode(reader.raw).length })
  })

  it('do not fire for streams that never opened: refused, complete, polled, or left before', async () => {
    const ended = server.channel('ended')
    await ended.publish(1)
    await ended.end()
    const asked = Promise.withResolvers<SSEConnection>()
    server.route('/refused', () => {
      throw createError({ statusCode: 401, message: 'Who are you?' })
    })
    server.route('/own', () => {
      throw new SSEError('NOT_YOURS', 'Not yours.', { statusCode: 403 })
    })
    server.route('/named', () => {
      throw createError({ statusCode: 401, data: { code: 'NO_TOKEN' } })
    })
    server.route('/bug', () => {
      throw new Error('bug')
    })
    server.route('/ended', () => ended)
    server.route('/slow', (_, connection) => {
      asked.resolve(connection)
      return new Promise<void>(resolve => connection.onClosed(resolve))
    })
    const statuses = []
    for (const path of ['/refused', '/own', '/named', '/bug', '/ended?position=1', '/ended?transport=poll', '/ended?position=nonsense']) statuses.push((await fetch(server.url + path)).status)
    expect(statuses).toEqual([401, 403, 401, 500, 204, 200, 400])
    const left = await RawSocket.get(server.url, '/slow')
    const connection = await asked.promise
    left.destroy()
    await eventually(() => expect(connection.closeReason).toBe('disconnect'))
    expect(stats()).toMatchObject({ ...zero, connectionsTotal: 0, pollsTotal: 1, refused: { HTTP_401: 1, NOT_YOURS: 1, NO_TOKEN: 1, UNKNOWN: 1, INVALID_POSITION: 1 } })
    expect([told.open, told.close]).toEqual([[], []])
    expect(told.error.map(({ code, where, event }) => [code, where, event?.path])).toEqual([
      ['HTTP_401', 'request', '/refused'], ['NOT_YOURS', 'request', '/own'], ['NO_TOKEN', 'request', '/named'], ['UNKNOWN', 'request', '/bug'], ['INVALID_POSITION', 'request', '/ended?position=nonsense'],
    ])
  })

  it('fire for all streams at a shutdown; newcomers are refused', async () => {
    server.route('/', () => server.channel('feed'))
    const readers = await Promise.all(Array.from({ length: 5 }, () => SSEReader.open(`${server.url}/`)))
    server.context.leave()
    for (const reader of readers) await reader.finished
    expect((await fetch(`${server.url}/`)).status).toBe(503)
    await eventually(() => expect(told.close.map(({ reason }) => reason)).toEqual(Array(5).fill('leave')))
    expect(stats()).toMatchObject({ ...zero, closed: { leave: 5 }, refused: { SHUTTING_DOWN: 1 } })
  })
})

describe('sse:publish, sse:gap and sse:error', () => {
  it('sse:publish has the size of each message, also of one that the log has dropped by then', async () => {
    const channel = server.channel('feed', { retention: { maxMessages: 1 } })
    await Promise.all([1, 10, 3_000, 200_000].flatMap(length => ['x', 'ü'].map(letter => channel.publish(letter.repeat(length)))))
    await eventually(() => expect(told.publish).toHaveLength(8))
    expect(told.publish.map(({ bytes }) => bytes)).toEqual([3, 4, 12, 22, 3_002, 6_002, 200_002, 400_002])
  })

  it('sse:publish reports each message that the driver accepts, and each that it refuses', async () => {
    const channel = server.channel('feed')
    const id = await channel.publish({ title: 'ü' }, { event: 'notice' })
    await expect(channel.publish(undefined)).rejects.toMatchObject({ code: 'INVALID_DATA' })
    await channel.pipe((function* () {
      yield 'piped'
    })())
    await expect(channel.publish(1)).rejects.toMatchObject({ code: 'CHANNEL_ENDED' })
    await eventually(() => expect(told.error).toHaveLength(2))
    expect(told.publish).toMatchObject([{ channel: 'feed', id, event: 'notice', bytes: 14 }, { channel: 'feed', bytes: 7 }])
    expect(told.error).toMatchObject([{ code: 'INVALID_DATA', where: 'publish', channel: 'feed' }, { code: 'CHANNEL_ENDED', where: 'publish', channel: 'feed' }])
    expect(stats()).toMatchObject({ published: 2, publishErrors: { INVALID_DATA: 1, CHANNEL_ENDED: 1 } })
  })

  it('sse:gap reports each gap that a client receives, on either transport', async () => {
    const channel = server.channel('feed', { retention: { maxMessages: 2 } })
    for (let n = 1; n <= 5; n++) await channel.publish(n)
    server.route('/', () => channel)
    await using reader = await SSEReader.open(`${server.url}/?position=1`)
    await reader.until(({ data }) => data.length === 2)
    const batch = await (await fetch(`${server.url}/?transport=poll`, { headers: { 'last-event-id': 'nonsense' } })).json()
    expect(told.gap).toEqual([
      { channel: 'feed', gap: { reason: 'trimmed', missed: 2, position: reader.controls[1]!.position }, transport: 'stream' },
      { channel: 'feed', gap: batch.gap, transport: 'poll' },
    ])
    expect(stats()).toMatchObject({ gaps: { trimmed: 1, epoch: 0, invalid: 1 }, polls: 0, pollsTotal: 1 })
  })

  it('sse:error names the place of an unawaited error', async () => {
    server.route('/push', (_, connection) => {
      void connection.push(undefined)
      connection.onClosed(() => {
        throw new Error('clean-up')
      })
      connection.leave()
    })
    await (await SSEReader.open(`${server.url}/push`)).finished
    const failing = new ReadableStream({ start: controller => controller.error(new Error('producer')) })
    void server.channel('job').pipe(failing).catch(() => {})
    await eventually(() => expect(told.error).toHaveLength(3))
    expect(told.error.map(({ code, where }) => `${where} ${code}`).sort()).toEqual(['background UNKNOWN', 'channel UNKNOWN', 'push INVALID_DATA'])
  })
})

describe('gauges', () => {
  it('count waiting polls and the channels they read, and go back to zero', async () => {
    server.route('/:name', event => server.channel(event.path))
    const polls = ['/a', '/b'].map(path => RawSocket.get(server.url, path, 'accept: application/json\r\n'))
    await eventually(() => expect(stats()).toMatchObject({ polls: 2, pollsTotal: 2, channels: 2, connections: 0 }))
    for (const poll of await Promise.all(polls)) poll.destroy()
    await eventually(() => expect(stats()).toMatchObject({ ...zero, pollsTotal: 2 }))
  })

  it('show readers whose socket is full, until they read or go', async () => {
    const channel = server.channel('feed')
    server.route('/', () => channel)
    const socket = await RawSocket.get(server.url, '/')
    await socket.until(({ received }) => received.includes('"open"'))
    socket.socket.pause()
    const text = 'x'.repeat(500_000)
    await eventually(async () => {
      await channel.publish(text)
      expect(stats().parkedReaders).toBe(1)
    })
    socket.destroy()
    await eventually(() => expect(stats()).toMatchObject({ ...zero, driver: 'memory' }))
  })
})

describe('a hook', () => {
  it('that throws or rejects harms nothing, and is reported once each time', async () => {
    hooks.removeAllHooks()
    hooks.hook('sse:open', () => {
      throw new Error('open')
    })
    hooks.hook('sse:close', () => Promise.reject(new Error('close')))
    hooks.hook('sse:publish', () => Promise.reject(new Error('publish')))
    hooks.hook('sse:gap', () => {
      throw new Error('gap')
    })
    hooks.hook('sse:error', () => {
      throw new Error('error')
    })
    const channel = server.channel('feed')
    await channel.publish(1)
    await expect(channel.publish(undefined)).rejects.toMatchObject({ code: 'INVALID_DATA' })
    await channel.end()
    server.route('/', () => channel)
    const reader = await SSEReader.open(`${server.url}/`, { headers: { 'last-event-id': 'nonsense' } })
    await reader.finished
    expect(reader.data).toEqual([1])
    expect(reader.controls.map(({ type }) => type)).toEqual(['open', 'gap', 'end'])
    await eventually(() => expect(server.reported).toHaveLength(5))
    expect(server.reported.map(error => (error as Error).message).sort()).toEqual(['close', 'error', 'gap', 'open', 'publish'])
    expect(stats()).toMatchObject({ ...zero, connectionsTotal: 1 })
  })

  it('costs nothing without a listener: no payload is made, and no request is held', async () => {
    hooks.removeAllHooks()
    const calls: string[] = []
    const { isHeard } = server.context.insight.hooks!
    server.context.insight.hooks = { isHeard, call: name => calls.push(name) }
    const channel = server.channel('feed')
    await channel.publish(1)
    await channel.end()
    server.route('/', () => channel)
    await (await SSEReader.open(`${server.url}/`)).finished
    await eventually(() => expect(stats()).toMatchObject({ ...zero, published: 1, messagesSent: 1, closed: { end: 1 } }))
    expect(calls).toEqual([])
  })
})

it('counts 64 codes apart, and the rest together: an application may make them of anything', async () => {
  for (let n = 0; n < 70; n++) server.context.insight.onPublishError('feed', new SSEError(`CODE_${n}`, 'no'))
  const { publishErrors } = stats()
  expect(Object.keys(publishErrors)).toHaveLength(65)
  expect(publishErrors.OTHER).toBe(6)
})
