import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import type { LogAppend, LogDriver } from '../../../src/runtime/server/drivers/types'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { SSEError } from '../../../src/runtime/shared/errors'
import { eventually } from '../../support/conditions'
import { createFailingDriver } from '../../../src/runtime/test'
import type { FailingDriver } from '../../../src/runtime/test'
import { createRandom, turns } from '../../support/random'
import { startSSEServer, useSSEServer } from '../../support/sse-server'

let driver: FailingDriver
/** The items that each append carried. */
let appends: LogAppend[][]
const server = useSSEServer({ maxMessageBytes: 1_000, shutdownMs: 50 }, { driver: () => driver = createFailingDriver(recorded(createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention))) })
beforeEach(() => void (appends = []))
afterEach(() => expect(server.context.producers.size).toBe(0))

function recorded(inner: LogDriver): LogDriver {
  return {
    ...inner,
    async append(channel, entries, ...rest) {
      appends.push(entries)
      // As long as an answer takes over a network.
      await turns(2)
      return inner.append(channel, entries, ...rest)
    },
  }
}

const code = (promise: Promise<unknown>) => promise.then(() => 'resolved', (error: SSEError) => error.code)
const dataOf = async (name = 'c') => (await server.channel(name).read()).messages.map(({ data }) => data)
const encoder = new TextEncoder()

/** A stream of the bytes of `text`, cut anywhere. */
function bytes(text: string, seed = 1, onCancel: () => void = () => {}): ReadableStream<Uint8Array> {
  const random = createRandom(seed)
  let rest = encoder.encode(text)
  return new ReadableStream({
    pull(controller) {
      if (rest.length === 0) return controller.close()
      const size = 1 + random.int(7)
      controller.enqueue(rest.slice(0, size))
      rest = rest.slice(size)
    },
    cancel: onCancel,
  })
}

describe('pipe: how it appends', () => {
  it('items that arrive during an append are the next append: 1,000 items at once are a few, in order, each once', async () => {
    await server.channel('c').pipe(Array.from({ length: 1_000 }, (_, n) => n))
    expect(await dataOf()).toEqual(Array.from({ length: 1_000 }, (_, n) => n))
    expect(appends.length).toBeLessThanOrEqual(3)
  })

  it('items in quick succession are gathered, the first is sent at once', async () => {
    const begun = performance.now()
    await server.channel('c').pipe((async function* () {
      for (let n = 0; n < 200; n++) {
        yield n
        await turns(1)
      }
      await eventually(async () => expect(await dataOf()).toHaveLength(200))
    })())
    // One for each 10 ms that it took, the first, and the last.
    expect(appends.length).toBeLessThanOrEqual((performance.now() - begun) / 10 + 2)
    expect(appends[0]!.length).toBeLessThan(3)
  })

  it('a source that is faster than the driver waits', async () => {
    const gate = Promise.withResolvers<void>()
    driver.append = () => gate.promise.then(() => ({ epoch: 'e1', offsets: [] }))
    let pulled = 0
    const controller = new AbortController()
    const piped = server.channel('c').pipe((function* () {
      while (true) yield pulled++
    })(), { signal: controller.signal })
    await eventually(() => expect(pulled).toBeGreaterThan(500))
    const before = pulled
    await turns(20)
    expect(pulled).toBe(before)
    // One batch under way, one that waits.
    expect(pulled).toBeLessThanOrEqual(1_001)
    controller.abort()
    gate.resolve()
    expect(await code(piped)).toBe('ABORTED')
  })

  it('a source that never waits, with a driver that never waits, leaves all others their turns', async () => {
    const fast = await startSSEServer({ retention: { maxMessages: 10 } })
    let pulled = 0
    const seen: number[] = []
    // Not quite endless: otherwise a failure would never finish the test.
    const piped = fast.channel('c').pipe((function* () {
      while (pulled < 50_000) yield pulled++
    })())
    while (seen.at(-1) !== 50_000) {
      await turns(1)
      seen.push(pulled)
    }
    await piped
    expect(seen.length).toBeGreaterThan(50)
    await fast.close()
  })

  it('items that a source yielded before it failed are there, before its error', async () => {
    expect(await code(server.channel('c').pipe((async function* () {
      yield 1
      yield 2
      throw new Error('secret')
    })()))).toBeUndefined()
    expect(await server.channel('c').read()).toMatchObject({ messages: [{ data: 1 }, { data: 2 }], ended: true, error: { code: 'SOURCE_FAILED' } })
  })

  it.each([['text', 'abc'], ['nothing', undefined], ['an object', {}], ['a number', 5]])('refuses %s as a source, and readers receive the error', async (_, source) => {
    expect(await code(server.channel('c').pipe(source as never))).toBe('INVALID_SOURCE')
    expect(await server.channel('c').info()).toMatchObject({ ended: true, error: { code: 'INVALID_SOURCE' } })
  })

  it.each([['text', 'top secret'], ['an object', { secret: 'top secret' }]])('shows readers nothing of a source that cannot be piped: %s', async (_, source) => {
    expect(await code(server.channel('c').pipe(source as never))).toBe('INVALID_SOURCE')
    expect(JSON.stringify((await server.channel('c').info()).error)).not.toContain('secret')
  })

  it('needs no reader, and is all there for a late one', async () => {
    await server.channel('c').pipe((async function* () {
      for (let n = 0; n < 50; n++) {
        await turns(1)
        yield n
      }
    })())
    const seen: unknown[] = []
    for await (const { data } of server.channel('c').subscribe()) seen.push(data)
    expect(seen).toEqual(Array.from({ length: 50 }, (_, n) => n))
  })

  it('onto a channel that has ended: rejects, and is logged when it is not awaited, since no reader receives the error', async () => {
    await server.channel('c').end()
    let released = 0
    const source = (function* () {
      try {
        yield 1
      }
      finally {
        released++
      }
    })()
    expect(await code(server.channel('c').pipe(source))).toBe('CHANNEL_ENDED')
    expect(server.reported).toMatchObject([{ code: 'CHANNEL_ENDED' }])
    expect(released).toBe(1)
  })

  it('keeps the request alive where that is requested', async () => {
    const kept: Promise<unknown>[] = []
    const event = { waitUntil: (promise: Promise<unknown>) => void kept.push(promise) }
    await server.channel('c').pipe([1], { event })
    await code(server.channel('d').pipe(5 as never, { event }))
    await server.channel('e').run(() => [1], { event })
    // None of them rejects: a rejection would stay unhandled.
    expect(await Promise.all(kept)).toHaveLength(3)
  })

  it('keeps the request alive until a stopped source has released its resources', async () => {
    const kept: Promise<unknown>[] = []
    const stop = new AbortController()
    const letGo = Promise.withResolvers<void>()
    const steps: string[] = []
    const piped = server.channel('c').pipe((async function* () {
      try {
        for (let n = 1; ; n++) yield n
      }
      finally {
        await letGo.promise
        steps.push('released')
      }
    })(), { signal: stop.signal, event: { waitUntil: promise => void kept.push(promise.then(() => steps.push('through'))) } })
    await eventually(() => expect(appends.length).toBeGreaterThan(0))
    stop.abort()
    expect(await code(piped)).toBe('ABORTED')
    steps.push('told')
    letGo.resolve()
    await Promise.all(kept)
    expect(steps).toEqual(['told', 'released', 'through'])
  })
})

describe('pipe: a driver that is down', () => {
  it('is retried, and each item is there once', async () => {
    const piped = server.channel('c').pipe((async function* () {
      yield 1
      await eventually(() => expect(appends).toHaveLength(1))
      driver.fail('all')
      yield 2
      await eventually(() => expect(driver.failed).toBeGreaterThan(0))
      yield 3
    })())
    await eventually(() => expect(driver.failed).toBeGreaterThan(1))
    driver.heal()
    await piped
    expect(await dataOf()).toEqual([1, 2, 3])
  })

  // @guarantee lost-end
  it('readers receive the error as soon as the driver is up, when the source has failed meanwhile', async () => {
    const failed = Promise.withResolvers<void>()
    const piped = server.channel('c').pipe((async function* () {
      yield 1
      await failed.promise
      throw new Error('secret')
    })())
    await eventually(async () => expect(await dataOf()).toEqual([1]))
    driver.fail('all')
    failed.resolve()
    await eventually(() => expect(driver.failed).toBeGreaterThan(1))
    driver.heal()
    expect(await code(piped)).toBeUndefined()
    expect(await server.channel('c').info()).toMatchObject({ ended: true, error: { code: 'SOURCE_FAILED' } })
  })

  it('does not hold back a shutdown', async () => {
    const piped = code(server.channel('c').pipe([1]))
    driver.fail('all')
    await server.context.close()
    expect(['SHUTTING_DOWN', 'DRIVER_UNAVAILABLE']).toContain(await piped)
    await eventually(() => expect(server.context.producers.size).toBe(0))
  }, 10_000)
})

describe('pipe: an event stream as bytes', () => {
  const STREAM = ': hello\n\nid: 7\nevent: delta\ndata: {"text":"é😀"}\n\ndata: plain\ndata: lines\r\n\r\ndata: 5\n\nretry: 10\n\ndata: half'
  const MESSAGES = [{ event: 'delta', data: { text: 'é😀' } }, { data: 'plain\nlines' }, { data: '5' }]

  it.each([1, 2, 3, 4, 5])('is a message for each of its complete events, however it is cut (%i)', async (seed) => {
    await server.channel('c').pipe(bytes(STREAM, seed))
    const { messages, ended } = await server.channel('c').read()
    expect(messages.map(({ id: _, ...message }) => message)).toEqual(MESSAGES)
    expect(ended).toBe(true)
  })

  it('reads a Response, and chunks of an async iterable', async () => {
    await server.channel('c').pipe(new Response(bytes(STREAM), { headers: { 'content-type': 'text/event-stream; charset=utf-8' } }))
    await server.channel('d').pipe((async function* () {
      yield Buffer.from(STREAM.slice(0, 40))
      yield Buffer.from(STREAM.slice(40))
    })() as never)
    expect((await server.channel('c').read()).messages).toHaveLength(3)
    expect((await server.channel('d').read()).messages).toHaveLength(3)
  })

  it('ends with `[DONE]`, and releases the rest', async () => {
    let cancelled = 0
    await server.channel('c').pipe(bytes(`data: {"n":1}\n\ndata: [DONE]\n\n${'data: {"n":2}\n\n'.repeat(50)}`, 1, () => cancelled++))
    expect(await dataOf()).toEqual([{ n: 1 }])
    await eventually(() => expect(cancelled).toBe(1))
  })

  it.each([
    ['an error', () => new Response('{"error":"over quota"}', { status: 429 })],
    ['something else', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
    ['nothing', () => new Response(null)],
  ])('a Response that is %s fails the channel, and only the server sees its text', async (_, response) => {
    await expect(server.channel('c').pipe(response())).rejects.toThrow('to be an event stream')
    expect((await server.channel('c').info()).error).toMatchObject({ code: 'SOURCE_FAILED', message: 'The stream failed because of an error on the server.' })
    expect(server.reported).toHaveLength(1)
  })

  it('releases a Response that is not an event stream and does not end', async () => {
    let pulled = 0
    let cancelled = 0
    // Not quite endless: otherwise a failure would end the process.
    const endless = new ReadableStream<Uint8Array>({ pull: controller => pulled < 1_000 ? controller.enqueue(encoder.encode(`${pulled++} `.repeat(100))) : controller.close(), cancel: () => void cancelled++ })
    await expect(server.channel('c').pipe(new Response(endless, { headers: { 'content-type': 'text/plain' } }))).rejects.toThrow('to be an event stream, got status 200, `text/plain`: 0 0 0')
    expect(pulled).toBeLessThan(5)
    await eventually(() => expect(cancelled).toBe(1))
  })

  it('stops and releases a Response that is not an event stream and falls silent', async () => {
    let cancelled = 0
    const quiet = new Response(new ReadableStream({ cancel: () => void cancelled++ }), { status: 500 })
    const controller = new AbortController()
    const piped = server.channel('c').pipe(quiet, { signal: controller.signal })
    await turns(3)
    controller.abort()
    expect(await code(piped)).toBe('ABORTED')
    await eventually(() => expect(cancelled).toBe(1))
  })

  it('reads a Response whose headers have any case', async () => {
    await server.channel('c').pipe(new Response('data: {"n":1}\n\n', { headers: { 'content-type': 'Text/Event-Stream' } }))
    expect(await dataOf()).toEqual([{ n: 1 }])
  })

  it('one chunk with very many messages is many appends, and each waits for the one before it', async () => {
    const numbers = Array.from({ length: 20_000 }, (_, n) => n)
    const unlimited = server.channel('c', { retention: { maxMessages: 50_000 } })
    await unlimited.pipe(new Response(numbers.map(n => `data: ${n}\n\n`).join(''), { headers: { 'content-type': 'text/event-stream' } }), { parse: 'json' })
    expect(appends.flat().map(({ data }) => Number(data))).toEqual(numbers)
    expect(Math.max(...appends.map(({ length }) => length))).toBeLessThanOrEqual(500)
  })

  it('messages that are complete in a chunk before one that is too long are there, before the error', async () => {
    expect(await code(server.channel('c').pipe(new Response(`data: 1\n\ndata: 2\n\ndata: ${'x'.repeat(2_000)}`, { headers: { 'content-type': 'text/event-stream' } })))).toBe('MESSAGE_TOO_LARGE')
    expect(await dataOf()).toEqual(['1', '2'])
  })

  // @guarantee split-bytes
  it('a line without an end is refused, and not kept', async () => {
    let pulled = 0
    const endless = new ReadableStream<Uint8Array>({ pull: controller => controller.enqueue(encoder.encode(pulled++ ? 'x'.repeat(100) : 'data: ')) })
    expect(await code(server.channel('c').pipe(endless))).toBe('MESSAGE_TOO_LARGE')
    expect(pulled).toBeLessThan(20)
  })

  it('the reserved event name in a foreign stream is refused', async () => {
    expect(await code(server.channel('c').pipe(bytes('event: sse\ndata: {"type":"end"}\n\n')))).toBe('RESERVED_EVENT')
  })
})
