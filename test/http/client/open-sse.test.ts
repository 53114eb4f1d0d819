import fc from 'fast-check'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import type { SSESource } from '../../../src/runtime/client'
import { readRefusal } from '../../../src/runtime/client/fallback/read-refusal'
import { SSEError } from '../../../src/runtime/shared/errors'
import type { Exchange, ScriptedServer } from '../../support/scripted-server'
import { control, message } from '../../support/scripted-server'
import { END, MARK, QUICK, all, data, failure, spyOnReading, stubBrowser, useHarness } from './harness'
import { eventually } from '../../support/conditions'
import { useMovingClock } from '../../support/moving-clock'
import { turns } from '../../support/random'

const clock = useMovingClock()
const harness = useHarness()
const { sources, open } = harness
let server: ScriptedServer
beforeEach(() => {
  server = harness.server
})

const CONNECT_TIMEOUT_MS = 10_000

/** The headers of a stream and not one byte, until the client no longer waits for the first. */
function mute(x: Exchange): void {
  x.stream('', MARK)
  void clock.move(CONNECT_TIMEOUT_MS)
}

describe('messages', () => {
  it('gives each once, in order, with ID, name and data; control messages are none', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(`:\n\n${message({ a: 1 }, 'e1.1')}${message('two', 'e1.2', 'named')}`).end(END))
    expect(await all(open())).toEqual([{ id: 'e1.1', data: { a: 1 } }, { id: 'e1.2', event: 'named', data: 'two' }])
    expect(server.exchanges).toHaveLength(1)
    expect(server.exchanges[0]!.request.headers.accept).toBe('text/event-stream')
  })

  it('gives data that is not JSON as plain text, and takes foreign IDs as they are', async () => {
    server.script(
      x => x.stream('id: größe/7\ndata: plain text\n\nevent: sse\ndata: {"type":"theirs"}\n\n').end(),
      x => x.open().end(END),
    )
    expect(await all(open())).toEqual([{ id: 'größe/7', data: 'plain text' }, { event: 'sse', data: { type: 'theirs' } }])
    expect(new TextDecoder().decode(Uint8Array.from(server.exchanges[1]!.position!, byte => byte.charCodeAt(0)))).toBe('größe/7')
  })

  // @guarantee split-bytes
  it('bytes split anywhere, CRLF, BOM, many bytes a character', async () => {
    const bytes = new TextEncoder().encode('\uFEFFevent: sse\r\ndata: {"type":"open"}\r\n\r\nretry: 1\r\nid: 1\r\ndata: "grüße 🎈"\r\n\r\n: comment\r\rid: 2\rdata: [1,\rdata: 2]\r\rdata: "\u2028"\n\n')
    await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 12 }), async (cuts) => {
      const chunks: Uint8Array[] = []
      let from = 0
      for (const to of [...new Set(cuts)].sort((a, b) => a - b).concat(bytes.length)) chunks.push(bytes.subarray(from, from = to))
      server.script(async (x) => {
        x.stream()
        for (const chunk of chunks) {
          x.write(chunk)
          // Chunks written in one turn arrive in one piece.
          await new Promise(resolve => setTimeout(resolve))
        }
        x.end(END)
      })
      expect(await all(open())).toEqual([{ id: '1', data: 'grüße 🎈' }, { id: '2', data: [1, 2] }, { data: '\u2028' }])
    }), { numRuns: 40 })
  })

  // @guarantee split-bytes
  it('an endless line does not fill the memory', async () => {
    server.script(async (x) => {
      x.stream('data: ')
      const chunk = 'x'.repeat(1_000_000)
      while (!x.closed) await new Promise<void>(resolve => x.response.write(chunk, () => resolve()))
    })
    expect(await failure(open())).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retry: false })
  })

  // @guarantee empty-ids, first-heartbeat
  it('an ID without data moves the position and gives no message; an empty one resets it', async () => {
    server.script(
      x => x.stream('id: 5\n\n').write(message(1)).end(),
      x => x.open().write(message(2)).write('id\n\n').end(),
      x => x.open().end(END),
    )
    expect(data(await all(open()))).toEqual(['1', 2])
    expect(server.exchanges.map(x => x.position)).toEqual([undefined, '5', undefined])
  })

  // Chromium reads further, into memory of its own: 300 MB in a second of which the page has requested the first piece alone.
  it.skipIf('document' in globalThis)('reads no further than a loop that is slow', async () => {
    let written = 0
    server.script(async (x) => {
      x.stream()
      while (!x.closed && written < 100_000_000) await new Promise<void>(resolve => x.response.write(message('x'.repeat(100_000)), () => (written += 100_000, resolve())))
    })
    const source = open()
    // Both ends are in this process: each side takes what the other writes within a few turns.
    await vi.waitFor(async () => {
      const before = written
      await turns(100)
      expect(written).toBe(before)
      expect(written).toBeGreaterThan(0)
    }, { timeout: 20_000 })
    expect(written).toBeLessThan(50_000_000)
    const iterator = source[Symbol.asyncIterator]()
    for (let n = 0; n < 50; n++) expect((await iterator.next()).done).toBe(false)
    await iterator.return!()
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
  })
})

describe('reconnects', () => {
  // @guarantee resume-position
  it('carry the position, after a cut, an end without `end`, and a leave', async () => {
    server.script(
      async (x) => {
        x.open({ position: 'e1.0' }).write(message(1, 'e1.1'))
        await eventually(() => expect(sources[0]!.position).toBe('e1.1'))
        x.cut()
      },
      x => x.open({ position: 'e1.1', resumed: true }).write(message(2, 'e1.2')).end(),
      x => x.open({ position: 'e1.2', resumed: true }).end(control({ type: 'leave', retryMs: 5 })),
      x => x.open({ position: 'e1.2', resumed: true }).write(message(3, 'e1.3')).end(END),
    )
    const source = open()
    expect(data(await all(source))).toEqual([1, 2, 3])
    expect(server.exchanges.map(x => x.position)).toEqual([undefined, 'e1.1', 'e1.2', 'e1.2'])
    expect(source).toMatchObject({ status: 'closed', position: 'e1.3', error: undefined })
  })

  it('requests the initial position until it has learned one', async () => {
    server.script(x => x.cut(), x => x.open({ position: 'e1.7' }).end(), x => x.open().end(END))
    await all(open({ position: 7 }))
    expect(server.exchanges.map(x => x.position)).toEqual(['7', '7', 'e1.7'])
    expect(server.exchanges.slice(0, 2).map(x => x.query.position)).toEqual(['7', '7'])
  })

  it('adopts the position of a gap, and shows it', async () => {
    const gap = { reason: 'trimmed', missed: 3, position: 'e2.4' }
    server.script(x => x.open({ position: 'e1.9' }).write(control({ type: 'gap', ...gap }, 'e2.4')).end(), x => x.open().end(END))
    const source = open()
    await all(source)
    expect(source.gap).toEqual(gap)
    expect(server.exchanges[1]!.position).toBe('e2.4')
  })

  // @guarantee final-status
  it('reads fresh headers, query and body at every attempt', async () => {
    let token = 0
    server.script(x => x.status(503), x => x.status(503), x => x.open().end(END))
    await all(open({ method: 'POST', headers: async () => ({ authorization: `t${++token}` }), query: () => ({ n: token, none: undefined }), body: () => ({ token }) }))
    expect(server.exchanges.map(x => x.request.headers.authorization)).toEqual(['t1', 't2', 't3'])
    expect(server.exchanges.map(x => JSON.parse(x.body))).toEqual([{ token: 1 }, { token: 2 }, { token: 3 }])
    expect(server.exchanges[0]!.request.headers['content-type']).toBe('application/json')
  })

  /** Lets the 60 s pass that a source was sent to wait, and nothing happens before that. */
  async function retryAfter(source: SSESource): Promise<void> {
    await eventually(() => expect(source.status).toBe('reconnecting'))
    const dueInMs = source.error!.retryAt! - Date.now()
    expect(dueInMs).toBeGreaterThan(40_000)
    await clock.move(dueInMs - 15_000)
    expect(source.error!.retryAt).toBeDefined()
    await clock.move(15_000)
  }

  // @guarantee final-status
  it('waits for Retry-After', async () => {
    let refusedAt = 0
    server.script((x) => {
      refusedAt = performance.now()
      x.status(429, '', { 'retry-after': '60' })
    }, x => x.open().end(END))
    const source = open()
    const read = all(source)
    await retryAfter(source)
    await read
    expect(performance.now() - refusedAt).toBeGreaterThanOrEqual(59_990)
  })

  // @guarantee final-status
  it.each([
    [429, '', true],
    [503, '', true],
    [503, { statusCode: 503, message: 'Full.', data: { code: 'TOO_MANY_CONNECTIONS' } }, true],
    [503, { type: 'pending', message: 'away', retryMs: 1 }, false],
  ])('%i %j waits as long as Retry-After prescribes; is a failure: %j', async (status, body, failed) => {
    let refusedAt = 0
    let waited = 0
    server.script((x) => {
      refusedAt = performance.now()
      x.status(status, body, { 'retry-after': '60' })
    }, (x) => {
      waited = performance.now() - refusedAt
      x.open().end(END)
    })
    const source = open()
    const read = all(source)
    await retryAfter(source)
    await read
    expect(waited).toBeGreaterThanOrEqual(59_990)
    server.script(x => x.status(status, body), x => x.open().end(END))
    const last = open({ reconnect: { ...QUICK.reconnect, maxAttempts: 1 } })
    if (failed) expect(await failure(last)).toMatchObject({ code: 'GAVE_UP', statusCode: status })
    else await all(last)
  })

  // @guarantee final-status
  it.each([400, 401, 403, 404, 405, 406, 410, 422])('%i is final', async (status) => {
    server.script(x => x.status(status, { message: 'No.', data: { code: 'THEIR_CODE' } }))
    expect(await failure(open({ transports: ['stream'] }))).toMatchObject({ statusCode: status, code: 'THEIR_CODE', message: 'No.', retry: false })
    expect(server.exchanges).toHaveLength(1)
  })

  // @guarantee deploy-502
  it.each([408, 425, 429, 500, 502, 503, 504])('%i is retried', async (status) => {
    server.script(x => x.status(status, '<html>'), x => x.open().end(END))
    await all(open())
    expect(server.exchanges).toHaveLength(2)
  })

  // @guarantee final-status
  it('204 is the end, without an error', async () => {
    server.script(x => x.status(204))
    const source = open()
    expect(await all(source)).toEqual([])
    expect(source).toMatchObject({ status: 'closed', error: undefined })
  })

  it('reports a route that is not an event stream', async () => {
    server.script(x => x.status(200, { hello: 'world' }))
    expect(await failure(open())).toMatchObject({ code: 'NOT_EVENT_STREAM', message: expect.stringContaining('application/json') })
  })

  it('shows no query in errors about a route: there may be a ticket in it', async () => {
    for (const [transport, body] of [['stream', { hello: 'world' }], ['poll', { hello: 'world' }]] as const) {
      server.script(x => x.status(200, body), x => x.status(200, body))
      const { code, message } = await failure(open({ query: { ticket: 'eyJ' }, transports: [transport] }))
      expect([transport, code]).toEqual(transport === 'stream' ? ['stream', 'NOT_EVENT_STREAM'] : ['poll', 'INVALID_BATCH'])
      expect(message).toContain(server.url)
      expect(message).not.toContain('eyJ')
    }
  })

  it('an `error` control message decides whether to reconnect', async () => {
    server.script(x => x.open().end(control({ type: 'error', code: 'BUSY', statusCode: 500, message: 'Later.', retry: true })), x => x.open().end(control({ type: 'error', code: 'BROKEN', statusCode: 500, message: 'Never.', retry: false })))
    expect(await failure(open())).toMatchObject({ code: 'BROKEN', message: 'Never.' })
    expect(server.exchanges).toHaveLength(2)
  })

  it('503 pending is waited for, and counts for nothing', async () => {
    const pending = { type: 'pending', message: 'away', retryMs: 1 }
    server.script(...Array.from({ length: 5 }, () => (x: Exchange) => x.status(503, pending)), x => x.open().write(message(1)).end(END))
    expect(data(await all(open({ reconnect: { ...QUICK.reconnect, maxAttempts: 2 } })))).toEqual([1])
  })

  // @guarantee attempt-count
  it('a 200 that dies at once does not reset the count', async () => {
    // Cut when it is connected: Firefox itself repeats a GET that is cut earlier.
    server.script(async (x) => {
      x.open()
      await eventually(() => expect(source.status).toBe('connected'))
      x.cut()
    })
    const source = open({ reconnect: { ...QUICK.reconnect, maxAttempts: 3 } })
    expect(await failure(source)).toMatchObject({ code: 'GAVE_UP', cause: { code: 'NETWORK' } })
    expect(server.exchanges).toHaveLength(3)
  })

  // @guarantee attempt-count
  it('a message resets the count', async () => {
    let n = 0
    server.script(x => ++n < 10 ? x.open().write(message(n)).end() : x.open().end(END))
    expect(await all(open({ reconnect: { ...QUICK.reconnect, maxAttempts: 2 } }))).toHaveLength(9)
  })

  // @guarantee attempt-count
  it('a connection that holds resets the count', async () => {
    // For as long as a silence may be, in two parts: with a sign of life between them, it is no silence.
    const holds = async (x: Exchange) => {
      const position = `e1.${server.exchanges.length}`
      x.open()
      await eventually(() => expect(sources[0]!.status).toBe('connected'))
      await clock.move(15_000)
      x.write(`id: ${position}\n\n`)
      await eventually(() => expect(sources[0]!.position).toBe(position))
      await clock.move(15_000)
      x.cut()
    }
    server.script(holds, x => x.cut(), holds, x => x.open().end(END))
    // Three failures in a row would be one too many; between the second and the third the stream was up long enough.
    await all(open({ silenceTimeoutMs: 20_000, reconnect: { ...QUICK.reconnect, maxAttempts: 3 } }))
    expect(server.exchanges).toHaveLength(4)
  })

  // @guarantee complete-not-dropped
  it('a finished stream is no drop, and a POST is not repeated', async () => {
    server.script(x => x.open().write(message(1)).end(END))
    expect(data(await all(open({ method: 'POST', body: { prompt: 'hi' } })))).toEqual([1])
    expect(server.exchanges).toHaveLength(1)

    server.script(x => x.open().write(message(1)).end())
    expect(await failure(open({ method: 'POST', body: 'x' }))).toMatchObject({ code: 'INTERRUPTED' })
    expect(server.exchanges).toHaveLength(2)
  })

  // @guarantee complete-not-dropped
  it('a POST with a position is repeated', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(), x => x.open().write(message(2, 'e1.2')).end(END))
    expect(data(await all(open({ method: 'POST', body: {} })))).toEqual([1, 2])
    expect(server.exchanges[1]!.position).toBe('e1.1')
  })

  it('stops at the message that `until` names', async () => {
    server.script(x => x.stream('data: 1\n\ndata: [DONE]\n\ndata: 2\n\n'))
    expect(data(await all(open({ until: one => one.data === '[DONE]' })))).toEqual(['1', '[DONE]'])
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
  })
})

describe('silence', () => {
  // @guarantee buffering-proxy
  it('an answer without first bytes is given up', async () => {
    server.script(mute, x => x.open().write(message(1)).end(END))
    expect(data(await all(open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })))).toEqual([1])
  })

  it('a stream that falls silent is given up after 2.5 heartbeats', async () => {
    server.script(x => x.open({ heartbeatMs: 20 }), x => x.open().write(message(1)).end(END))
    expect(data(await all(open()))).toEqual([1])
  })

  it('heartbeats are a sign of life', async () => {
    const pieces = spyOnReading()
    const heartbeats = () => pieces().filter(piece => piece === ':\n\n').length
    server.script(async (x) => {
      x.open({ heartbeatMs: 20_000 })
      await eventually(() => expect(sources[0]!.status).toBe('connected'))
      // A stream would be silent after 50 s.
      for (let n = 1; n <= 8; n++) {
        await clock.move(20_000)
        x.write(':\n\n')
        await eventually(() => expect(heartbeats()).toBe(n))
      }
      x.end(message(1) + END)
    })
    expect(data(await all(open()))).toEqual([1])
    expect(server.exchanges).toHaveLength(1)
  })

  // @guarantee buffering-proxy
  it('two silent attempts in a row lead to polling, at the same position', async () => {
    server.script(
      x => x.open({ position: 'e1.4' }).write(message(5, 'e1.5')).end(),
      mute,
      () => void clock.move(CONNECT_TIMEOUT_MS),
      x => x.batch([{ id: 'e1.6', data: 6 }]),
      x => x.batch([{ id: 'e1.7', data: 7 }], { ended: true }),
    )
    const source = open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
    expect(data(await all(source))).toEqual([5, 6, 7])
    expect(source.transport).toBe('poll')
    expect(server.exchanges.map(x => [x.isPoll, x.position])).toEqual([[false, undefined], [false, 'e1.5'], [false, 'e1.5'], [true, 'e1.5'], [true, 'e1.6']])
    expect(server.exchanges[3]!.request.headers['last-event-id']).toBeUndefined()
  })

  // @guarantee buffering-proxy
  it('goes back to the stream when a source cannot be polled', async () => {
    server.script(mute, mute, x => x.status(406, { message: 'no' }), mute, mute, x => x.open().write(message(1)).end(END))
    expect(data(await all(open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })))).toEqual([1])
    expect(server.exchanges.map(x => x.isPoll)).toEqual([false, false, true, false, false, false])
  })

  // @guarantee one-position, buffering-proxy
  it('the stream is tried again while polling, and takes over without a loss', async () => {
    const browser = stubBrowser()
    let waiting: (() => void) | undefined
    server.script(
      mute, mute,
      x => x.batch([], { position: 'e1.1' }),
      x => void (waiting = () => x.batch([{ id: 'e1.2', data: 2 }])),
      x => x.open({ position: 'e1.1' }),
      x => x.open({ position: 'e1.1' }).write(message(2, 'e1.2')).end(END),
    )
    const source = open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
    const messages = all(source)
    await eventually(() => expect(waiting).toBeDefined())
    // Back online: the browser's own sign that a network may be another one.
    browser.dispatchEvent(new Event('online'))
    expect(data(await messages)).toEqual([2])
    expect(source.transport).toBe('stream')
    expect(server.exchanges.map(x => x.isPoll)).toEqual([false, false, true, true, false, false])
    await eventually(() => expect(server.exchanges.slice(0, 5).every(x => x.closed)).toBe(true))
  })

  it('a stream that is still silent leaves the poll as it is', async () => {
    const browser = stubBrowser()
    let waiting: (() => void) | undefined
    server.script(
      mute, mute,
      x => x.batch([], { position: 'e1.1' }),
      x => void (waiting = () => x.batch([{ id: 'e1.2', data: 2 }], { ended: true })),
      mute,
    )
    const source = open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
    const messages = all(source)
    await eventually(() => expect(waiting).toBeDefined())
    browser.dispatchEvent(new Event('online'))
    await eventually(() => expect(server.exchanges[4]?.closed).toBe(true))
    expect(source).toMatchObject({ status: 'connected', transport: 'poll' })
    waiting!()
    expect(data(await messages)).toEqual([2])
  })
})

describe('polling only', () => {
  it('requests a position at once, then waits, and honours pollMs, gaps and ends', async () => {
    const gap = { reason: 'epoch', missed: null, position: 'e2.0' }
    server.script(
      x => x.batch([], { position: 'e1.3' }),
      x => x.batch([{ id: 'e2.1', event: 'named', data: 1 }], { gap, pollMs: 1 }),
      x => x.status(503, { type: 'pending', retryMs: 1 }),
      x => x.cut(),
      x => x.batch([{ id: 'e2.2', data: 2 }], { ended: true }),
    )
    const source = open({ transports: ['poll'] })
    expect(await all(source)).toEqual([{ id: 'e2.1', event: 'named', data: 1 }, { id: 'e2.2', data: 2 }])
    expect(source.gap).toEqual(gap)
    expect(server.exchanges.map(x => x.query.waitMs === '0')).toEqual([true, false, false, true, true])
    expect(server.exchanges.map(x => x.query.position)).toEqual([undefined, 'e1.3', 'e2.1', 'e2.1', 'e2.1'])
    expect(server.exchanges.every(x => x.request.headers.accept === 'application/json')).toBe(true)
  })

  it('throws the error of a failed channel after its last message', async () => {
    server.script(x => x.batch([{ id: 'e1.1', data: 1 }], { ended: true, error: { code: 'BROKEN', statusCode: 500, message: 'It broke.', retry: false } }))
    const seen: unknown[] = []
    const source = open({ transports: ['poll'] })
    await expect((async () => {
      for await (const one of source) seen.push(one.data)
    })()).rejects.toMatchObject({ code: 'BROKEN' })
    expect(seen).toEqual([1])
  })

  it('406 is final', async () => {
    server.script(x => x.status(406, { message: 'Not this one.' }))
    expect(await failure(open({ transports: ['poll'] }))).toMatchObject({ statusCode: 406, message: 'Not this one.' })
  })
})

describe('in a browser', () => {
  it('`online` cuts a wait short', async () => {
    const browser = stubBrowser()
    server.script(x => x.status(503, '', { 'retry-after': '30' }), x => x.open().write(message(1)).end(END))
    const source = open()
    const messages = all(source)
    await eventually(() => expect(source.status).toBe('reconnecting'))
    browser.dispatchEvent(new Event('online'))
    expect(data(await messages)).toEqual([1])
  })
})

describe('the life of a source', () => {
  // @guarantee old-session
  it('close() during a wait ends it, and nothing follows', async () => {
    server.script(x => x.status(503, '', { 'retry-after': '30' }))
    const source = open()
    const messages = all(source)
    await eventually(() => expect(source.status).toBe('reconnecting'))
    source.close()
    expect(await messages).toEqual([])
    expect(source.status).toBe('closed')
    expect(server.exchanges).toHaveLength(1)
  })

  it('break ends it and closes the connection', async () => {
    server.script(x => x.open().write(message(1) + message(2)))
    for await (const one of open()) {
      expect(one.data).toBe(1)
      break
    }
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
  })

  it('return() during a wait for news settles', async () => {
    server.script(x => x.open())
    const iterator = open()[Symbol.asyncIterator]()
    const next = iterator.next()
    await eventually(() => expect(server.exchanges).toHaveLength(1))
    await iterator.return!()
    expect(await next).toEqual({ done: true, value: undefined })
  })

  it('counts as its position only messages that the loop was given', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1') + message(2, 'e1.2') + message(3, 'e1.3')))
    const source = open()
    const iterator = source[Symbol.asyncIterator]()
    await iterator.next()
    await eventually(() => expect(source.position).toBe('e1.1'))
    await iterator.next()
    expect(source.position).toBe('e1.2')
  })

  it('can be iterated once', async () => {
    server.script(x => x.open())
    const source = open()
    source[Symbol.asyncIterator]()
    expect(() => source[Symbol.asyncIterator]()).toThrow(SSEError)
  })

  it('an option that is undefined is one that was not given', async () => {
    server.script(x => x.open().write(message(1)).end(END))
    const nothing = { minDelayMs: undefined, maxDelayMs: undefined, maxAttempts: undefined }
    expect(data(await all(open({ connectTimeoutMs: undefined, silenceTimeoutMs: undefined, transports: undefined, method: undefined, reconnect: nothing })))).toEqual([1])
  })

  it.each([
    [{ connectTimeoutMs: -1 }, 'Expected `connectTimeoutMs` to be a number of at least 1, got `-1`.'],
    [{ reconnect: { minDelayMs: Number.NaN } }, 'Expected `minDelayMs` to be a number of at least 0, got `NaN`.'],
    [{ transports: ['socket' as never] }, 'Expected `transports` to be `stream`, `poll`, or both, got `["socket"]`.'],
    [{ method: 'GET', body: {} }, 'Expected `method` to be one with a body, got `"GET"`.'],
  ])('refuses %j', (options, sentence) => {
    expect(() => openSSE(server.url, options)).toThrow(sentence)
  })
})

// A page cannot be without its location.
describe.skipIf('document' in globalThis)('a URL that cannot be requested', () => {
  it.each(['/api/feed', 'api/feed', 'http://', ''])('%j is refused at once where there is no page, and not retried forever', (url) => {
    // Pages have one, and workers, of themselves.
    vi.stubGlobal('location', undefined)
    expect(() => openSSE(url)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('Expected `url` to be an absolute URL') }))
  })

  it('a relative URL is requested in a page', async () => {
    vi.stubGlobal('location', { href: 'http://127.0.0.1:1/page' })
    openSSE('/api/feed').close()
    expect(() => openSSE('http://')).toThrow(expect.objectContaining({ message: expect.stringContaining('Expected `url` to be a URL') }))
  })
})

it('the error of a client that gives up carries the last failure', async () => {
  server.script(x => x.status(500, { message: 'Out of order' }))
  expect(await failure(open({ ...QUICK, reconnect: { ...QUICK.reconnect, maxAttempts: 2 } }))).toMatchObject({ code: 'GAVE_UP', message: expect.stringMatching(/^Gave up after 2 attempts: Out of order$/) })
})

it('an answer without a URL, as of a request from inside a server, is handled all the same', async () => {
  const refusal = await readRefusal(new Response('{}', { headers: { 'content-type': 'text/event-stream' } }), 'application/json', 'INVALID_BATCH')
  expect(refusal).toMatchObject({ error: { message: 'Expected application/json, got text/event-stream: is it an SSE route?' } })
})
