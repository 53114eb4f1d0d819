import { describe, expect, it, vi } from 'vitest'
import { failOnUnhandledRejections } from '../../support/unhandled'
import { useMovingClock } from '../../support/moving-clock'
import type { Exchange } from '../../support/scripted-server'
import { control, message } from '../../support/scripted-server'
import { END, all, data, failure, spyOnReading, spyOnRequests, useHarness } from './harness'

failOnUnhandledRejections()

const clock = useMovingClock()
const harness = useHarness()
const open = harness.open

/** Any JSON value where a text or a number belongs. */
const NONSENSE: unknown[] = [null, 5, -1, '', 'x', true, {}, [], { toString: 1, valueOf: 1 }, 'a\r\nb', 'a\0b']
const NO_POSITIONS: unknown[] = [null, 5, true, {}, [], { toString: 1 }, 'a\r\nb', 'a\nb', 'a\0b']

/** As vitest has it, an array of its own is several arguments. */
const rows = (values: unknown[]): [unknown][] => values.map(value => [value])

describe('control messages with the wrong types', () => {
  it.each(rows(NO_POSITIONS))('a position of %j is not adopted: the client continues from the one it had', async (position) => {
    harness.server.script(
      x => x.open({ position: 'e1.1' }).write(message(2, 'e1.2')).end(),
      x => x.open({ position }).end(),
      x => x.open({ position: 'e1.2' }).write(control({ type: 'gap', reason: 'trimmed', missed: 1, position })).end(),
      x => x.open({ position: 'e1.2' }).end(END),
    )
    await all(open())
    expect(harness.server.exchanges.map(x => x.position)).toEqual([undefined, 'e1.2', 'e1.2', 'e1.2'])
  })

  it.each(rows(NONSENSE.filter(value => typeof value !== 'number' || value < 0)))('a `leave` in %j does not make the client hammer the server', async (retryMs) => {
    const requests = spyOnRequests(harness.server.url)
    harness.server.script(x => x.open().end(control({ type: 'leave', retryMs })))
    const source = open({ reconnect: { minDelayMs: 36_000_000, maxDelayMs: 36_000_000 } })
    const read = all(source)
    await vi.waitFor(() => expect(source.status).toBe('reconnecting'), { timeout: 20_000 })
    await clock.move(40)
    expect(requests()).toBe(1)
    source.close()
    await read
  })

  it.each(rows(NONSENSE))('a heartbeat of %j is ignored', async (heartbeatMs) => {
    harness.server.script(x => x.open({ heartbeatMs }).write(message(1)).end(END))
    expect(data(await all(open()))).toEqual([1])
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it.each(rows(NONSENSE))('an `error` made of %j ends it with an SSEError of texts', async (value) => {
    harness.server.script(x => x.open().end(control({ type: 'error', code: value, message: value, statusCode: value, retry: false, retryAt: value, details: value, cause: value })))
    const error = await failure(open())
    expect(error).toMatchObject({ code: expect.any(String), message: expect.any(String), statusCode: expect.any(Number), retry: false })
  })
})

describe('batches with the wrong types', () => {
  it.each([
    ...NONSENSE.filter(value => !Array.isArray(value)).map(messages => ({ messages })),
    ...NONSENSE.filter(value => typeof value !== 'object' || value === null).map(one => ({ messages: [one] })),
    ...NO_POSITIONS.map(position => ({ position })),
    ...NO_POSITIONS.map(id => ({ messages: [{ id, data: 1 }] })),
    ...NO_POSITIONS.map(position => ({ gap: { reason: 'trimmed', missed: 1, position } })),
    { gap: 5 }, { gap: 'x' }, { gap: [] },
  ])('%j is not a batch: final, and no part of it is delivered', async (fields) => {
    harness.server.script((x: Exchange) => x.batch([], fields))
    const source = open({ transports: ['poll'] })
    expect(await failure(source)).toMatchObject({ code: 'INVALID_BATCH', retry: false })
    expect(harness.server.exchanges).toHaveLength(1)
    expect(source.position).toBeUndefined()
  })

  it.each(rows(NONSENSE))('a `pollMs` of %j does not make the client hammer the server', async (pollMs) => {
    const requests = spyOnRequests(harness.server.url)
    const pieces = spyOnReading()
    harness.server.script((x: Exchange) => x.batch([], { pollMs, position: 'e1.0' }))
    const source = open({ transports: ['poll'], reconnect: { minDelayMs: 36_000_000, maxDelayMs: 36_000_000 } })
    const read = all(source)
    // The first poll does not wait, and an honest server does not answer the second at once.
    await vi.waitFor(() => expect(pieces().filter(piece => piece.includes('"batch"'))).toHaveLength(2), { timeout: 20_000 })
    await clock.move(40)
    expect(requests()).toBe(2)
    source.close()
    await read
  })

  it.each(rows(NONSENSE.filter(Boolean)))('an error of %j ends it with an SSEError of texts', async (value) => {
    harness.server.script((x: Exchange) => x.batch([], { ended: true, error: { code: value, message: value, statusCode: value } }))
    expect(await failure(open({ transports: ['poll'] }))).toMatchObject({ code: expect.any(String), message: expect.any(String), statusCode: expect.any(Number), retry: false })
  })

  // @guarantee bounded
  it('a batch without an end is given up, and does not fill the memory', async () => {
    let sent = 0
    harness.server.script((x: Exchange) => {
      x.response.writeHead(200, { 'content-type': 'application/json' })
      x.write('{"type":"batch","position":"e1.0","messages":[')
      const more = () => {
        while (!x.closed && x.response.write('{"id":"e1.1","data":"0123456789"},'.repeat(2_000))) sent += 68_000
        sent += 68_000
      }
      x.response.on('drain', more)
      more()
    })
    const source = open({ transports: ['poll'], connectTimeoutMs: 60_000 })
    expect(await failure(source)).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retry: false })
    expect(sent).toBeLessThan(200_000_000)
  }, 60_000)
})

describe('answers that are errors', () => {
  it.each(rows(NONSENSE))('a refusal made of %j is final, and an SSEError of texts', async (value) => {
    harness.server.script(x => x.status(403, { message: value, data: { code: value } }))
    for (const transports of [['stream'], ['poll']] as const) {
      expect(await failure(open({ transports: [...transports] }))).toMatchObject({ code: expect.any(String), message: expect.any(String), statusCode: 403, retry: false })
    }
  })

  it.each([...NONSENSE.map(value => JSON.stringify({ type: 'pending', message: value, retryMs: value })), 'null', '5', '"x"', '[]', '{"data":null}', '{"data":5}'])('503 with %s is retried, after a while', async (body) => {
    const requests = spyOnRequests(harness.server.url)
    harness.server.script((x) => {
      x.response.writeHead(503, { 'content-type': 'application/json' })
      x.end(body)
    })
    const source = open({ reconnect: { minDelayMs: 36_000_000, maxDelayMs: 36_000_000 } })
    const read = all(source)
    await vi.waitFor(() => expect(source).toMatchObject({ status: 'reconnecting', error: { statusCode: 503, retry: true } }), { timeout: 20_000 })
    await clock.move(40)
    expect(requests()).toBe(1)
    source.close()
    await read
  })
})

it('names of the prototype in data, events and options of a server change nothing', async () => {
  harness.server.script(x => x.open({ __proto__: null, constructor: 1 }).write('event: __proto__\ndata: {"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}\n\n').write(control(JSON.parse('{"type":"gap","reason":"epoch","missed":null,"position":"e2.0","__proto__":{"polluted":1}}'))).end(END))
  const source = open()
  expect(await all(source)).toHaveLength(1)
  expect(source.gap).toEqual({ reason: 'epoch', missed: null, position: 'e2.0' })
  expect(({} as { polluted?: number }).polluted).toBeUndefined()
})
