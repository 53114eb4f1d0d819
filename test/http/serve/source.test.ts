import { createError, sendRedirect } from 'h3'
import { describe, expect, it } from 'vitest'
import type { SSEConnection } from '../../../src/runtime/server/connection/types'
import { TaggedMessage } from '../../../src/runtime/server/wire/message'
import { SSEError } from '../../../src/runtime/shared/errors'
import { eventually } from '../../support/conditions'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import { streamOf } from '../../support/streams'
import { useSSEServer } from '../../support/sse-server'

const PRIVATE = 'secret-table-name'
const server = useSSEServer({ retryMs: 100 })

const open = (path = '/', init?: RequestInit) => SSEReader.open(server.url + path, init)
async function whole(path = '/'): Promise<SSEReader> {
  const reader = await open(path)
  await reader.finished
  return reader
}
const types = (reader: SSEReader) => reader.controls.map(({ type }) => type)

describe('leave', () => {
  it.each([-1, Number.NaN, Infinity])('refuses %d, and the connection stays open', async (retryMs) => {
    let connection!: SSEConnection
    server.route('/leave', (_, own) => void (connection = own))
    await using reader = await SSEReader.open(`${server.url}/leave`)
    await reader.until(r => r.controls.length === 1)
    expect(() => connection.leave(retryMs)).toThrow('Expected `retryMs` to be a number of milliseconds, at least 0')
    connection.leave(7)
    await reader.finished
    expect(reader.controls.at(-1)).toEqual({ type: 'leave', retryMs: 7 })
  })
})

describe('every kind of source', () => {
  it('a generator, with named messages and IDs', async () => {
    server.route('/', async function* () {
      yield 0
      yield ''
      yield false
      yield null
      yield new TaggedMessage({ percent: 5 }, { event: 'progress', id: 7 })
    })
    const reader = await whole()
    expect(reader.messages).toEqual([{ data: 0 }, { data: '' }, { data: false }, { data: null }, { id: '7', event: 'progress', data: { percent: 5 } }].map(message => ({ id: undefined, event: undefined, ...message })))
    expect(types(reader)).toEqual(['open', 'end'])
  })

  it('a sync generator, and any iterable', async () => {
    server.route('/generator', function* () {
      yield 1
      yield 2
    })
    server.route('/set', () => new Set([1, 2]))
    expect((await whole('/generator')).data).toEqual([1, 2])
    expect((await whole('/set')).data).toEqual([1, 2])
  })

  it('an async iterable that has only next()', async () => {
    let n = 0
    server.route('/', () => ({ [Symbol.asyncIterator]: () => ({ next: async () => ({ done: n === 2, value: ++n }) }) }))
    const reader = await whole()
    expect(reader.data).toEqual([1, 2])
    expect(types(reader)).toEqual(['open', 'end'])
  })

  it('a ReadableStream, cancelled when the client leaves', async () => {
    let cancelled = 0
    server.route('/whole', () => streamOf(1, 2))
    server.route('/endless', () => new ReadableStream({ pull: controller => turns(1).then(() => controller.enqueue('x')), cancel: () => void cancelled++ }))
    server.route('/failing', () => new ReadableStream({ pull: controller => controller.error(new Error(PRIVATE)) }))
    expect((await whole('/whole')).data).toEqual([1, 2])
    const reader = await open('/endless')
    await reader.until(r => r.data.length > 3)
    await reader.close()
    await eventually(() => expect(cancelled).toBe(1))
    const failed = await whole('/failing')
    expect(types(failed)).toEqual(['open', 'error'])
    expect(server.reported).toMatchObject([{ message: PRIVATE }])
  })

  it('push API: a clean-up function, nothing, and a promise of either', async () => {
    let cleaned = 0
    server.route('/clean', (_, connection) => {
      void connection.push(1)
      return () => void cleaned++
    })
    server.route('/none', (_, connection) => void connection.push(1))
    server.route('/later', async (_, connection) => {
      await turns(2)
      await connection.push(1, { event: 'named', id: 'x' })
      return () => void cleaned++
    })
    for (const path of ['/clean', '/none', '/later']) {
      const reader = await open(path)
      await reader.until(r => r.data.length === 1)
      expect(reader.raw.startsWith('retry: ')).toBe(true)
      await reader.close()
    }
    await eventually(() => expect(cleaned).toBe(2))
  })

  it('a push handler that runs for long before it returns: its pushes are sent meanwhile', async () => {
    const gate = Promise.withResolvers<void>()
    server.route('/', async (_, connection) => {
      await connection.push(1)
      await gate.promise
      await connection.push(2)
      await connection.close()
    })
    await using reader = await open()
    await reader.until(r => r.data.length === 1)
    gate.resolve()
    await reader.finished
    expect(reader.data).toEqual([1, 2])
    expect(types(reader)).toEqual(['open', 'end'])
  })

  it.each<[string, () => unknown]>([
    ['a number', () => 5], ['a text', () => 'x'], ['an array', () => [1]], ['an object', () => ({ a: 1 })], ['null', () => null], ['true', () => true],
    ['a generator function that was not called', () => async function* () {}], ['the same, not async', () => function* () {}],
  ])('refuses %s with a 500 that lists what is allowed, and logs a line on the server', async (_, result) => {
    server.route('/', result)
    const response = await fetch(server.url)
    expect(response.status).toBe(500)
    expect(await response.json()).toMatchObject({ data: { code: 'INVALID_SOURCE' } })
    expect(server.reported).toMatchObject([{ code: 'INVALID_SOURCE', message: expect.stringContaining('Expected the handler to return an async iterable') }])
  })

  // @guarantee loud
  it('an invalid result after pushes that were sent is an `error` and not silence', async () => {
    server.route('/', async (_, connection) => {
      await connection.push(1)
      await turns(3)
      return 5
    })
    const reader = await whole()
    expect(reader.data).toEqual([1])
    expect(reader.controls.at(-1)).toMatchObject({ type: 'error', code: 'INVALID_SOURCE' })
  })

  it('a stream that another reader holds already is a 500, not an unhandled rejection', async () => {
    server.route('/locked', () => {
      const stream = streamOf(1)
      stream.getReader()
      return stream
    })
    server.route('/throwing', () => ({
      [Symbol.asyncIterator]() {
        throw new Error(PRIVATE)
      },
    }))
    for (const path of ['/locked', '/throwing']) expect((await fetch(server.url + path)).status).toBe(500)
  })

  it('a handler that has already answered is left alone', async () => {
    server.route('/', event => sendRedirect(event, '/login'))
    const response = await fetch(server.url, { redirect: 'manual' })
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toBe('/login')
    await eventually(() => expect(server.context.connections.size).toBe(0))
    expect(server.reported).toEqual([])
  })
})

describe('errors', () => {
  it('thrown before the start: an ordinary HTTP error with its status, on both transports', async () => {
    server.route('/h3', () => {
      throw createError({ statusCode: 401, message: 'Sign in first.', data: { code: 'NO_USER' } })
    })
    server.route('/sse', async () => {
      await turns(1)
      throw new SSEError('QUOTA', 'Too much.', { statusCode: 429 })
    })
    server.route('/refused', () => server.channel(''))
    server.route('/pushed', (_, connection) => {
      void connection.push(1)
      throw createError({ statusCode: 402, message: 'Pay first.' })
    })
    for (const accept of ['text/event-stream', 'application/json']) {
      const [h3, sse, refused, pushed] = await Promise.all(['/h3', '/sse', '/refused', '/pushed'].map(path => fetch(server.url + path, { headers: { accept } })))
      expect([h3!.status, sse!.status, refused!.status, pushed!.status]).toEqual([401, 429, 400, 402])
      expect(await h3!.json()).toMatchObject({ statusCode: 401, data: { code: 'NO_USER' } })
      expect(await sse!.json()).toMatchObject({ statusCode: 429, data: { code: 'QUOTA' } })
      expect(await refused!.json()).toMatchObject({ data: { code: 'INVALID_CHANNEL' } })
    }
  })

  // @guarantee internal-errors
  it.each<[string, () => unknown, object]>([
    ['any error', () => new Error(PRIVATE), { code: 'SOURCE_FAILED', statusCode: 500, message: 'The stream failed because of an error on the server.', retry: true }],
    ['a text', () => PRIVATE, { code: 'SOURCE_FAILED', statusCode: 500, message: 'The stream failed because of an error on the server.', retry: true }],
    ['nothing', () => undefined, { code: 'SOURCE_FAILED', statusCode: 500, message: 'The stream failed because of an error on the server.', retry: true }],
    ['an object with a status', () => ({ statusCode: 400, message: PRIVATE }), { code: 'SOURCE_FAILED', statusCode: 500, message: 'The stream failed because of an error on the server.', retry: true }],
    ['an error with a status', () => Object.assign(new Error(PRIVATE), { statusCode: 400, data: PRIVATE }), { code: 'SOURCE_FAILED', statusCode: 500, message: 'The stream failed because of an error on the server.', retry: true }],
    ['an h3 error', () => createError({ statusCode: 403, message: 'Not yours.', cause: new Error(PRIVATE), data: { code: 'FOREIGN', table: PRIVATE } }), { code: 'FOREIGN', statusCode: 403, message: 'Not yours.', retry: false }],
    ['an h3 error made of another', () => createError(new Error(PRIVATE)), null as never],
    ['an SSEError', () => new SSEError('BUSY', 'Come back.', { statusCode: 503, cause: new Error(PRIVATE), details: { PRIVATE } }), { code: 'BUSY', statusCode: 503, message: 'Come back.', retry: true }],
    ['an SSEError with its own retry', () => new SSEError('DONE', 'No more.', { statusCode: 500, retry: false }), { code: 'DONE', statusCode: 500, message: 'No more.', retry: false }],
  ].filter(([, , shown]) => shown) as [string, () => unknown, object][])('thrown later becomes an `error` control message: %s', async (_, thrown, shown) => {
    server.route('/generator', async function* () {
      yield 1
      throw thrown()
    })
    server.route('/sync', function* () {
      yield 1
      throw thrown()
    })
    server.route('/push', async (_, connection) => {
      await connection.push(1)
      await turns(3)
      throw thrown()
    })
    for (const path of ['/generator', '/sync', '/push']) {
      const reader = await whole(path)
      expect(reader.data).toEqual([1])
      expect(reader.controls.at(-1)).toEqual({ type: 'error', ...shown })
      expect(reader.raw).not.toContain(PRIVATE)
    }
    // The server logs what the client does not receive.
    expect(server.reported).toHaveLength('code' in shown && shown.code === 'SOURCE_FAILED' ? 3 : 0)
  })

  it('a generator that throws before its first item', async () => {
    server.route('/', async function* () {
      if (server) throw new SSEError('NO', 'No.', { statusCode: 400 })
      yield 'never'
    })
    const reader = await whole()
    expect(types(reader)).toEqual(['open', 'error'])
  })
})

describe('items that cannot be sent', () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  const bad: [string, unknown, string][] = [
    ['undefined', undefined, 'INVALID_DATA'], ['a BigInt', 1n, 'INVALID_DATA'], ['a circle', circular, 'INVALID_DATA'],
    ['too large', 'x'.repeat(2_000), 'MESSAGE_TOO_LARGE'], ['the reserved name', new TaggedMessage(1, { event: 'sse' }), 'RESERVED_EVENT'],
    ['an injected id', new TaggedMessage(1, { id: '1\ndata: x' }), 'INVALID_ID'], ['an injected name', new TaggedMessage(1, { event: 'a\rb' }), 'INVALID_EVENT'],
  ]

  it.each(bad)('are thrown into the generator, which may continue: %s', async (_, item, code) => {
    const caught: unknown[] = []
    server.route('/async', async function* () {
      try {
        yield item
      }
      catch (error) {
        caught.push((error as SSEError).code)
      }
      yield 'next'
    }, { maxMessageBytes: 1_000 })
    server.route('/sync', function* () {
      try {
        yield item
      }
      catch (error) {
        caught.push((error as SSEError).code)
      }
      yield 'next'
    }, { maxMessageBytes: 1_000 })
    for (const path of ['/async', '/sync']) {
      const reader = await whole(path)
      expect(reader.data).toEqual(['next'])
      expect(types(reader)).toEqual(['open', 'end'])
    }
    expect(caught).toEqual([code, code])
  })

  // @guarantee loud
  it.each(bad)('fail a source that does not catch, loudly: %s', async (_, item, code) => {
    let released = 0
    server.route('/generator', async function* () {
      try {
        yield 1
        yield item
        yield 'never'
      }
      finally {
        released++
      }
    }, { maxMessageBytes: 1_000 })
    server.route('/iterable', () => {
      const items = [1, item, 'never']
      return { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: items.shift() }), return: async () => ({ done: true, value: void released++ }) }) }
    }, { maxMessageBytes: 1_000 })
    for (const path of ['/generator', '/iterable']) {
      const reader = await whole(path)
      expect(reader.data).toEqual([1])
      expect(reader.controls.at(-1)).toMatchObject({ type: 'error', code })
    }
    expect(released).toBe(2)
  })

  it.each(bad)('reject a push, and the connection stays open: %s', async (_, item, code) => {
    const codes: unknown[] = []
    server.route('/', async (_, connection) => {
      // An unawaited rejection must not end the process.
      void connection.push(item)
      await connection.push(item).catch((error: SSEError) => codes.push(error.code))
      expect(await connection.push('next')).toBe(true)
      await connection.close()
    }, { maxMessageBytes: 1_000 })
    const reader = await whole()
    expect(reader.data).toEqual(['next'])
    expect(types(reader)).toEqual(['open', 'end'])
    expect(codes).toEqual([code])
    expect(server.reported).toHaveLength(2)
  })

  // @guarantee line-breaks
  it('a comment of several lines stays a comment, and one that is not text rejects', async () => {
    let refused: unknown
    server.route('/', async (_, connection) => {
      await connection.comment('a\rdata: x\n\nevent: sse\r\ndata: y')
      await connection.comment(5 as never).catch(error => refused = error)
      await connection.close()
    })
    const reader = await whole()
    expect(reader.comments).toEqual(['a', 'data: x', '', 'event: sse', 'data: y'])
    expect(types(reader)).toEqual(['open', 'end'])
    expect(refused).toBeInstanceOf(Error)
  })
})

describe('the end of a connection', () => {
  const endings: [string, string, (connection: SSEConnection, reader: Promise<SSEReader>) => unknown][] = [
    ['end', 'end', connection => connection.close()],
    ['leave', 'leave', connection => connection.leave(5)],
    ['the client leaves', 'disconnect', async (_, reader) => (await reader).close()],
    ['the socket is cut', 'disconnect', () => server.sockets.forEach(socket => socket.resetAndDestroy())],
    ['shutdown', 'leave', () => server.context.close()],
  ]
  // @guarantee clean, one-clean-up
  it.each(endings)('clean-ups run exactly once and in order, also when one throws: %s', async (_, reason, end) => {
    const calls: string[] = []
    let connection!: SSEConnection
    server.route('/', (_, own) => {
      connection = own
      own.onClosed(() => {
        calls.push('throws')
        throw new Error('clean-up')
      })
      own.onClosed(async () => {
        calls.push('rejects')
        throw new Error('clean-up')
      })
      const takeBack = own.onClosed(() => calls.push('never'))
      takeBack()
      own.signal.addEventListener('abort', () => calls.push('abort'))
      return () => calls.push('returned')
    })
    const opening = open()
    const reader = await opening
    await reader.until(r => r.controls.length === 1)
    expect([connection.closed, connection.closeReason, connection.signal.aborted]).toEqual([false, undefined, false])
    await end(connection, opening)
    await eventually(() => expect(calls).toEqual(['abort', 'throws', 'rejects', 'returned']))
    expect([connection.closed, connection.closeReason, connection.signal.aborted]).toEqual([true, reason, true])
    // Anything that runs later finds it closed.
    void connection.close()
    connection.leave()
    connection.onClosed(() => calls.push('late'))
    await reader.finished
    await turns(2)
    expect(calls).toEqual(['abort', 'throws', 'rejects', 'returned', 'late'])
    await eventually(() => expect(server.reported).toMatchObject([{ message: 'clean-up' }, { message: 'clean-up' }]))
  })

  // @guarantee one-clean-up
  it('a source releases itself once: not again after it completes or fails', async () => {
    const released: Record<string, number> = { '/done': 0, '/failed': 0, '/left': 0 }
    const iterable = (path: string, next: () => Promise<IteratorResult<unknown>>) => server.route(path, () => ({
      [Symbol.asyncIterator]: () => ({ next, return: async () => ({ done: true, value: void released[path]!++ }) }),
    }))
    iterable('/done', async () => ({ done: true, value: undefined }))
    iterable('/failed', () => Promise.reject(new SSEError('NO', 'No.')))
    iterable('/left', () => turns(1).then(() => ({ done: false, value: 1 })))
    await whole('/done')
    await whole('/failed')
    const reader = await open('/left')
    await reader.until(r => r.data.length > 0)
    await reader.close()
    // As in `for await`: return() is called only on an early exit.
    await eventually(() => expect(released).toEqual({ '/done': 0, '/failed': 0, '/left': 1 }))
  })

  // @guarantee late-push
  it('a push after the end resolves with false and does nothing', async () => {
    let connection!: SSEConnection
    server.route('/', (_, own) => void (connection = own))
    const reader = await open()
    await reader.until(r => r.controls.length === 1)
    await reader.close()
    await eventually(() => expect(connection.closed).toBe(true))
    expect(await Promise.all([connection.push(1), connection.comment('x'), connection.push(1, { event: 'x' })])).toEqual([false, false, false])
    await connection.close()
    expect(server.reported).toEqual([])
  })

  it('close() resolves when the last byte has left, and every call returns the same promise', async () => {
    const gate = Promise.withResolvers<void>()
    server.route('/', async (_, connection) => {
      await connection.push('last')
      await Promise.all([connection.close(), connection.close()])
      gate.resolve()
    })
    const reader = await whole()
    await gate.promise
    expect(reader.data).toEqual(['last'])
    expect(types(reader)).toEqual(['open', 'end'])
  })

  it('leave() sends the delay before the reconnect', async () => {
    server.route('/given', (_, connection) => connection.leave(1234))
    server.route('/random', (_, connection) => connection.leave())
    expect((await whole('/given')).controls.at(-1)).toEqual({ type: 'leave', retryMs: 1234 })
    const { retryMs } = (await whole('/random')).controls.at(-1) as unknown as { retryMs: number }
    expect(retryMs).toBeGreaterThanOrEqual(1)
    expect(retryMs).toBeLessThanOrEqual(100)
  })

  // @guarantee lifetime-end
  it('a lifetime ends the response although the generator hangs in an await, and also a channel and a push', async () => {
    const stuck = Promise.withResolvers<void>()
    let released = 0
    server.route('/generator', async function* () {
      try {
        yield 1
        await stuck.promise
      }
      finally {
        released++
      }
    }, { maxLifetimeMs: 50 })
    server.route('/push', () => {}, { maxLifetimeMs: 50 })
    server.route('/channel', () => server.channel('lifetime'), { maxLifetimeMs: 50 })
    const before = performance.now()
    const readers = await Promise.all(['/generator', '/push', '/channel'].map(whole))
    for (const reader of readers) expect(types(reader)).toEqual(['open', 'leave'])
    expect(performance.now() - before).toBeGreaterThanOrEqual(39)
    expect(released).toBe(0)
    stuck.resolve()
    await eventually(() => expect(released).toBe(1))
  })
})

describe('shutdown', () => {
  it('sends every client a reconnect; a request meanwhile gets 503', async () => {
    server.route('/', () => {})
    server.route('/channel', () => server.channel('c'))
    const readers = await Promise.all([open(), open('/channel')])
    await Promise.all(readers.map(reader => reader.until(r => r.controls.length === 1)))
    await Promise.all([server.context.close(), server.context.close()])
    for (const reader of readers) {
      await reader.finished
      expect(types(reader)).toEqual(['open', 'leave'])
    }
    for (const accept of ['text/event-stream', 'application/json']) {
      const late = await fetch(server.url, { headers: { accept } })
      expect(late.status).toBe(503)
      expect(Number(late.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect(await late.json()).toMatchObject({ type: 'pending', retryMs: expect.any(Number), message: expect.stringContaining('shutting down') })
    }
  })

  it.each(['generator', 'push', 'channel', 'raw'])('makes a client reconnect although its handler was busy at that moment: %s', async (kind) => {
    const gate = Promise.withResolvers<void>()
    const called = Promise.withResolvers<void>()
    const busy = async () => {
      called.resolve()
      await gate.promise
    }
    let released = 0
    server.route('/generator', async () => {
      await busy()
      return (async function* () {
        try {
          yield 1
          await new Promise(() => {})
        }
        finally {
          released++
        }
      })()
    })
    server.route('/push', async () => {
      await busy()
      return () => void released++
    })
    server.route('/channel', async () => {
      await busy()
      return server.channel('c')
    })
    const { defineEventHandler } = await import('h3')
    server.use('/raw', defineEventHandler(async (event) => {
      await busy()
      return server.raw(event).send()
    }))
    const reading = whole(`/${kind}`)
    await called.promise
    await server.context.close()
    gate.resolve()
    const reader = await reading
    if (reader.status === 200) expect(reader.controls.at(-1)).toMatchObject({ type: 'leave' })
    else expect(reader.status).toBe(503)
    if (kind === 'push') expect(released).toBe(1)
  })
})
