import { defineEventHandler } from 'h3'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { SSEError } from '../../../src/runtime/shared/errors'
import { TaggedMessage } from '../../../src/runtime/server/wire/message'
import { eventually } from '../../support/conditions'
import { useSSEServer } from '../../support/sse-server'

/** A server of ours, and another one that relays its routes. */
const origin = useSSEServer({ retryMs: 50, heartbeatMs: 20, shutdownMs: 50 })
const relay = useSSEServer({ shutdownMs: 50 })
afterEach(() => expect(relay.context.producers.size).toBe(0))

const failure = (promise: Promise<unknown>) => promise.then(() => undefined, (error: SSEError) => error)
const messages = async (name = 'c') => (await relay.channel(name).read()).messages.map(({ id: _, ...message }) => message)
/** Our routes as a `Response`, whose headers mark it as ours, and as its body, which only its content marks. */
const forms: [string, (response: Response) => Response | ReadableStream<Uint8Array>][] = [['a Response', response => response], ['a body', response => response.body!]]

describe.each(forms)('pipe of a route of ours, as %s', (_, form) => {
  const pipe = async (path: string, name = 'c', init?: RequestInit) => relay.channel(name).pipe(form(await fetch(origin.url + path, init)))

  it('has its messages and their names, no control message, and its end', async () => {
    origin.route('/', async function* () {
      yield 1
      yield new TaggedMessage({ n: 2 }, { event: 'named', id: 'x' })
      yield '3'
      yield null
    })
    await pipe('/')
    expect(await messages()).toEqual([{ data: 1 }, { event: 'named', data: { n: 2 } }, { data: '3' }, { data: null }])
    expect(await relay.channel('c').info()).toMatchObject({ ended: true, lastOffset: 4 })
  })

  it('ends only with `end`, after heartbeats and silence', async () => {
    const gate = Promise.withResolvers<void>()
    origin.route('/', async function* () {
      yield 1
      await gate.promise
      yield 2
    })
    const piped = pipe('/')
    const { connections } = origin.context
    // Bytes of the heartbeats that have left, on top of what one message takes.
    await eventually(() => expect([...connections][0]?.outbox.bytes).toBeGreaterThan(150))
    expect((await relay.channel('c').info()).ended).toBe(false)
    gate.resolve()
    await piped
    expect(await messages()).toEqual([{ data: 1 }, { data: 2 }])
  })

  it('fails with the code of its error, after its messages', async () => {
    origin.route('/', async function* () {
      yield 1
      throw new SSEError('QUOTA', 'That was the last one for today.', { statusCode: 429, retry: false })
    })
    origin.route('/secret', async function* () {
      yield 1
      throw new Error('secret')
    })
    expect(await failure(pipe('/'))).toMatchObject({ code: 'QUOTA', statusCode: 429, message: 'That was the last one for today.', retry: false })
    expect(await relay.channel('c').info()).toMatchObject({ ended: true, lastOffset: 1, error: { code: 'QUOTA', message: 'That was the last one for today.' } })
    expect(await failure(pipe('/secret', 'd'))).toMatchObject({ code: 'SOURCE_FAILED' })
  })

  it.each(['CHANNEL_ENDED', 'LEASE_LOST', 'SHUTTING_DOWN', 'DRIVER_UNAVAILABLE', 'ABORTED'])('fails with the code of its error, also where a producer of this server may fail with that code itself: %s', async (code) => {
    origin.route('/', async function* () {
      yield 1
      throw new SSEError(code, 'Of the other server.')
    })
    expect(await failure(pipe('/'))).toMatchObject({ code })
    expect(await relay.channel('c').info()).toMatchObject({ ended: true, lastOffset: 1, error: { code, message: 'Of the other server.', retry: false } })
    const run = relay.channel('run')
    await run.run(async () => form(await fetch(origin.url)) as never, { onLost: 'restart' })
    await eventually(async () => expect(await run.info()).toMatchObject({ ended: true, error: { code } }))
  })

  it('fails with SOURCE_INTERRUPTED when the server sends a reconnect, or is cut, and never ends as if complete', async () => {
    const gate = Promise.withResolvers<void>()
    origin.route('/leave', (_event, connection) => {
      void connection.push(1)
      connection.leave()
    })
    origin.route('/cut', async function* () {
      yield 1
      await gate.promise
    })
    expect(await failure(pipe('/leave'))).toMatchObject({ code: 'SOURCE_INTERRUPTED', statusCode: 502 })
    const cut = failure(pipe('/cut', 'd'))
    await eventually(async () => expect(await messages('d')).toEqual([{ data: 1 }]))
    for (const socket of origin.sockets) socket.destroy()
    expect(await cut).toMatchObject({ code: 'SOURCE_INTERRUPTED' })
    for (const name of ['c', 'd']) {
      expect(await messages(name)).toEqual([{ data: 1 }])
      expect((await relay.channel(name).info()).error).toMatchObject({ code: 'SOURCE_INTERRUPTED' })
    }
    gate.resolve()
  })

  it('fails with GAP where messages are lost, and counts them', async () => {
    const channel = origin.channel('trimmed', { retention: { maxMessages: 2 } })
    for (let n = 1; n <= 5; n++) await channel.publish(n)
    await channel.end()
    origin.route('/', () => channel)
    expect(await failure(pipe('/?position=1'))).toMatchObject({ code: 'GAP', statusCode: 410, details: { gap: { reason: 'trimmed', missed: 2 } } })
    expect((await relay.channel('c').info()).error).toMatchObject({ code: 'GAP', message: 'The source of this stream lost 2 messages.' })
    // Without a gap, all of it.
    await pipe('/?position=3', 'd')
    expect(await messages('d')).toEqual([{ data: 4 }, { data: 5 }])
  })

  it('leaves the text of createSSEConnection as it was sent', async () => {
    const texts = [' 42', '1.0', '"quoted"', '12345678901234567890', '{"a":1}', 'null', '']
    origin.use('/', defineEventHandler((event) => {
      const connection = origin.raw(event)
      for (const text of texts) void connection.push(text)
      return Promise.all([connection.send(), connection.close()])
    }))
    await pipe('/')
    expect((await messages()).map(({ data }) => data)).toEqual(texts)
  })
})

describe('pipe: streams that are complete, or not, before their first byte', () => {
  it('a channel of ours that was read to its end (204) ends the channel', async () => {
    const id = await origin.channel('c').publish(1)
    await origin.channel('c').end()
    origin.route('/', () => origin.channel('c'))
    const response = await fetch(origin.url, { headers: { 'last-event-id': id } })
    expect(response.status).toBe(204)
    await relay.channel('c').pipe(response)
    expect(await relay.channel('c').info()).toMatchObject({ ended: true, lastOffset: 0 })
  })

  it('a marked response without a byte is an interrupted one', async () => {
    const response = new Response(new ReadableStream({ start: controller => controller.close() }), { headers: { 'content-type': 'text/event-stream', 'x-nuxt-sse': '1' } })
    expect(await failure(relay.channel('c').pipe(response))).toMatchObject({ code: 'SOURCE_INTERRUPTED' })
  })

  it('a heartbeat that is a control message, and one of a later version, are no messages', async () => {
    const text = 'event: sse\ndata: {"type":"open","heartbeatMs":15000}\n\nevent: sse\ndata: {"type":"heartbeat"}\n\ndata: 1\n\nevent: sse\ndata: {"type":"later"}\n\nevent: sse\ndata: {"type":"end","channel":"one"}\n\ndata: 2\n\nevent: sse\ndata: {"type":"end"}\n\ndata: 3\n\n'
    await relay.channel('c').pipe(new Response(text).body!)
    expect(await messages()).toEqual([{ data: 1 }, { data: 2 }])
  })
})

describe('pipe: the data of streams of other servers', () => {
  const streamOf = (texts: string[]) => new Response(texts.map(text => `${text.split('\n').map(line => `data: ${line}\n`).join('')}\n`).join(''), { headers: { 'content-type': 'text/event-stream' } })
  const dataOf = async (name: string) => (await messages(name)).map(({ data }) => data)

  it('is unchanged, except for JSON that begins with `{` or `[`', async () => {
    const text = fc.oneof(
      fc.constantFrom(' 42', '1.0', '"quoted"', '12345678901234567890', 'true', 'null', '', '{', '[1', '{a}', ' {"a":1}', '[x](y)', '-0', '1e999'),
      fc.jsonValue({ maxDepth: 2 }).map(value => JSON.stringify(value)),
      fc.string({ unit: 'binary', maxLength: 10 }).filter(value => value.isWellFormed() && !/[\r\0]/.test(value)),
    ).filter(value => value !== '[DONE]')
    let run = 0
    await fc.assert(fc.asyncProperty(fc.array(text, { maxLength: 20 }), async (texts) => {
      const name = `run${run++}`
      await relay.channel(name).pipe(streamOf(texts))
      expect(await dataOf(name)).toEqual(texts.map((value) => {
        try {
          return /^[{[]/.test(value) ? JSON.parse(value) : value
        }
        catch {
          return value
        }
      }))
    }), { numRuns: 50 })
  })

  it('is read as `parse` prescribes', async () => {
    const texts = ['1.0', '{"a":1}', 'x']
    await relay.channel('json').pipe(streamOf(texts), { parse: 'json' })
    await relay.channel('text').pipe(streamOf(texts), { parse: 'text' })
    await relay.channel('own').pipe(streamOf(texts), { parse: text => text === 'x' ? new TaggedMessage(0, { event: 'last' }) : text.length })
    expect(await dataOf('json')).toEqual([1, { a: 1 }, 'x'])
    expect(await dataOf('text')).toEqual(texts)
    expect(await messages('own')).toEqual([{ data: 3 }, { data: 7 }, { event: 'last', data: 0 }])
  })

  it('fails the pipe when `parse` throws, or returns a value that JSON cannot hold, after the earlier messages', async () => {
    await expect(relay.channel('c').pipe(streamOf(['1', '2']), { parse: (text) => {
      if (text === '2') throw new Error('secret')
      return text
    } })).rejects.toThrow('secret')
    expect(await relay.channel('c').read()).toMatchObject({ messages: [{ data: '1' }], error: { code: 'SOURCE_FAILED' } })
    expect(await failure(relay.channel('d').pipe(streamOf(['1']), { parse: () => undefined }))).toMatchObject({ code: 'INVALID_DATA' })
    expect(await failure(relay.channel('e').pipe(streamOf(['1']), { parse: 'yaml' as never }))).toMatchObject({ code: 'INVALID_OPTION' })
    expect((await relay.channel('e').info()).error).toMatchObject({ code: 'INVALID_OPTION' })
  })

  it('keeps the event name `sse` reserved, and is complete when its bytes are', async () => {
    for (const text of ['event: sse\ndata: {"type":"end"}\n\n', 'data: 1\n\nevent: sse\ndata: {"type":"open","heartbeatMs":1}\n\n', 'event: sse\ndata: {"type":"open"}\n\n']) {
      expect(await failure(relay.channel(text).pipe(new Response(text).body!))).toMatchObject({ code: 'RESERVED_EVENT' })
    }
    await relay.channel('c').pipe(streamOf(['1']))
    expect((await relay.channel('c').info()).error).toBeUndefined()
  })
})
