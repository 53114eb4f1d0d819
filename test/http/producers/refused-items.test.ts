import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Channel } from '../../../src/runtime/server/channel/channel'
import { readChannelOptions } from '../../../src/runtime/server/channel/message-schemas'
import { TaggedMessage } from '../../../src/runtime/server/wire/message'
import type { SSEError } from '../../../src/runtime/shared/errors'
import { eventually } from '../../support/conditions'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ maxMessageBytes: 100 })

const { schemas } = readChannelOptions({
  schema: z.object({ n: z.number() }),
  events: { later: z.string().refine(async text => text !== 'no') },
})
const channel = (withSchemas: boolean) => new Channel<unknown>(server.context, 'c', {}, withSchemas ? schemas : undefined)
const dataOf = async () => (await server.channel('c').read()).messages.map(({ data }) => data)

const CASES: [string, boolean, unknown, string][] = [
  ['what JSON cannot hold', false, undefined, 'INVALID_DATA'],
  ['what is too long', false, 'x'.repeat(200), 'MESSAGE_TOO_LARGE'],
  ['the reserved name', false, new TaggedMessage(1, { event: 'sse' }), 'RESERVED_EVENT'],
  ['a name with a line break', false, new TaggedMessage(1, { event: 'a\nb' }), 'INVALID_EVENT'],
  ['an id', false, new TaggedMessage(1, { id: 7 }), 'INVALID_ID'],
  ['what does not fit its schema', true, { n: 'x' }, 'INVALID_MESSAGE'],
  ['what does not fit, as its schema says later', true, new TaggedMessage('no', { event: 'later' }), 'INVALID_MESSAGE'],
  ['a name that the channel has not', true, new TaggedMessage(1, { event: 'other' }), 'INVALID_EVENT'],
]

/** How items come into a channel. */
const WAYS: [string, (channel: Channel<unknown>, source: AsyncIterable<unknown> | Iterable<unknown>) => Promise<unknown>][] = [
  ['pipe', (to, source) => to.pipe(source)],
  ['run', async (to, source) => {
    await to.run(() => source)
    await eventually(async () => expect((await to.info()).ended).toBe(true))
  }],
]

describe.each(WAYS)('an item that is refused, in %s', (_, fill) => {
  it.each(CASES)('%s: is thrown at its yield, and a source that catches it continues', async (_, withSchemas, item, code) => {
    const caught: unknown[] = []
    async function* source() {
      yield withSchemas ? { n: 1 } : 1
      for (let time = 0; time < 2; time++) {
        try {
          yield item
        }
        catch (error) {
          caught.push((error as SSEError).code)
        }
      }
      yield withSchemas ? { n: 2 } : 2
    }
    await fill(channel(withSchemas), source())
    expect(caught).toEqual([code, code])
    expect(await dataOf()).toEqual(withSchemas ? [{ n: 1 }, { n: 2 }] : [1, 2])
    expect(await server.channel('c').info()).not.toHaveProperty('error')
  })

  it.each(CASES)('%s: otherwise the source is released, and the channel fails with its code', async (_, withSchemas, item, code) => {
    let released = 0
    async function* source() {
      try {
        yield withSchemas ? { n: 1 } : 1
        yield item
        yield 3
      }
      finally {
        released++
      }
    }
    await fill(channel(withSchemas), source()).catch(() => {})
    expect(released).toBe(1)
    expect(await dataOf()).toEqual([withSchemas ? { n: 1 } : 1])
    expect((await server.channel('c').info()).error).toMatchObject({ code, retry: false })
  })

  it.each(CASES)('%s: a source without `throw()` is released, and the channel fails with its code', async (_, withSchemas, item, code) => {
    const items = [withSchemas ? { n: 1 } : 1, item, 3][Symbol.iterator]()
    let released = 0
    const source = { [Symbol.iterator]: () => ({ next: () => items.next(), return: () => (released++, { done: true as const, value: undefined }) }) }
    await fill(channel(withSchemas), source).catch(() => {})
    expect(released).toBe(1)
    expect((await server.channel('c').info()).error).toMatchObject({ code })
  })
})

it('a source that throws something else at a refusal fails with that', async () => {
  async function* source() {
    try {
      yield undefined
    }
    catch {
      throw new RangeError('mine')
    }
  }
  await expect(channel(false).pipe(source())).rejects.toThrow('mine')
  expect(server.reported.splice(0)).toEqual([expect.any(RangeError)])
})

it('a schema that hangs does not outlive the end of its pipe', async () => {
  const { schemas: hanging } = readChannelOptions({ schema: { '~standard': { version: 1, vendor: 'test', validate: () => new Promise<never>(() => {}) } } })
  const abort = new AbortController()
  const piped = new Channel<unknown>(server.context, 'c', {}, hanging).pipe([1], { signal: abort.signal })
  abort.abort()
  await expect(piped).rejects.toMatchObject({ code: 'ABORTED' })
})
