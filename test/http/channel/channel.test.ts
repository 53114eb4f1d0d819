import { getEventListeners } from 'node:events'
import { createError } from 'h3'
import { afterEach, describe, expect, it } from 'vitest'
import { readChannel } from '../../../src/runtime/server/channel/read'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { TaggedMessage } from '../../../src/runtime/server/wire/message'
import { Channel } from '../../../src/runtime/server/channel/channel'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import { createSSEContext } from '../../../src/runtime/server/context/context'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { SSEError } from '../../../src/runtime/shared/errors'
import type { SSEGap } from '../../../src/runtime/shared/protocol'
import { eventually } from '../../support/conditions'
import { collected } from '../../support/garbage'
import { turns } from '../../support/random'
import { streamOf } from '../../support/streams'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ maxMessageBytes: 1_000 })
afterEach(() => expect(server.context.hub.size).toBe(0))

const code = (promise: Promise<unknown>) => promise.then(() => 'resolved', (error: SSEError) => error.code)
async function collect<T>(messages: AsyncIterable<{ data: T }>): Promise<T[]> {
  const data: T[] = []
  for await (const message of messages) data.push(message.data)
  return data
}

it.each([
  ['takes bytes', true, ['string', 'object', 'object']],
  ['does not', undefined, ['string', 'string', 'string']],
])('publishes long data as bytes only to a driver that takes them: one that %s', async (_, takesBytes, types) => {
  const given: unknown[] = []
  const memory = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
  const driver: LogDriver = { ...memory, takesBytes, append: (channel, entries, retention, writer) => {
    given.push(...entries.map(({ data }) => data))
    return memory.append(channel, entries, retention, writer)
  } }
  const context = createSSEContext({ options: DEFAULT_HANDLER_OPTIONS, driver })
  const channel = new Channel(context, 'long')
  const texts = ['short', 'x'.repeat(3_000), 'ü💥'.repeat(50_000)]
  for (const text of texts) await channel.publish(text)
  expect(given.map(data => typeof data)).toEqual(types)
  expect((await channel.read()).messages.map(({ data }) => data)).toEqual(texts)
  await context.close()
})

describe('a name', () => {
  it.each([['empty', ''], ['513 bytes', 'x'.repeat(513)], ['513 bytes of UTF-8', `${'é'.repeat(256)}x`], ['no text', 5], ['nothing', undefined], ['invalid in UTF-8, so that Redis would take it for another', 'room:\uD800']])('refuses one that is %s', (_, name) => {
    expect(() => server.channel(name as string)).toThrowError(expect.objectContaining({ code: 'INVALID_CHANNEL' }))
  })
  it('takes 1 to 512 bytes', () => {
    for (const name of ['x', 'x'.repeat(512), 'é'.repeat(256)]) expect(server.channel(name).name).toBe(name)
  })
  it.each([{ maxMessages: 0 }, { maxMessages: 1.5 }, { maxAgeMs: 0 }, { maxAgeMs: '1' }, { maxBytes: 0 }, { maxBytes: false }, { maxMessage: 1 }, null, 5])('refuses a retention of %j', (retention) => {
    if (retention === null) return
    expect(() => server.channel('x', { retention: retention as never })).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })
})

describe('publish', () => {
  it('resolves with the ID of the message', async () => {
    const channel = server.channel('c')
    const { epoch } = await channel.info()
    expect(await Promise.all([1, 2, 3].map(n => channel.publish(n)))).toEqual([1, 2, 3].map(n => `${epoch}.${n}`))
    expect(await channel.publish('again', { key: 'k' })).toBe(`${epoch}.4`)
    expect(await channel.publish('again', { key: 'k' })).toBe(`${epoch}.4`)
    expect(await server.channel('c').info()).toEqual({ name: 'c', epoch, position: `${epoch}.4`, messages: 4, firstOffset: 1, lastOffset: 4, ended: false, running: false })
  })

  it('refuses a message that it cannot keep, and stores no part of it', async () => {
    const channel = server.channel<unknown>('c')
    expect(await code(channel.publish(undefined))).toBe('INVALID_DATA')
    expect(await code(channel.publish(1n))).toBe('INVALID_DATA')
    expect(await code(channel.publish('x'.repeat(1_000)))).toBe('MESSAGE_TOO_LARGE')
    expect(await code(channel.publish(1, { event: 'sse' }))).toBe('RESERVED_EVENT')
    expect(await code(channel.publish(1, { event: 'a\nb' }))).toBe('INVALID_EVENT')
    expect(await code(channel.publish(1, { event: '' }))).toBe('INVALID_EVENT')
    expect(await code(channel.publish(1, { event: 'x'.repeat(513) }))).toBe('INVALID_EVENT')
    expect(await code(channel.publish(1, { key: '' }))).toBe('INVALID_OPTION')
    expect(await code(channel.publish(1, { key: 'é'.repeat(257) }))).toBe('INVALID_OPTION')
    expect(await code(channel.publish(1, { key: 5 as never }))).toBe('INVALID_OPTION')
    // In UTF-8, the same key as any other half of a pair, so the second message would be dropped.
    expect(await code(channel.publish(1, { key: '\uD800' }))).toBe('INVALID_OPTION')
    expect(await code(channel.publish(new TaggedMessage(1, { id: '7' })))).toBe('INVALID_ID')
    expect((await channel.info()).lastOffset).toBe(0)
    await channel.publish(new TaggedMessage('tagged', { event: 'named' }))
    expect((await channel.read()).messages).toMatchObject([{ event: 'named', data: 'tagged' }])
  })

  it('keeps as much as the retention of its handle allows', async () => {
    for (let i = 1; i <= 5; i++) await server.channel('c', { retention: { maxMessages: 2 } }).publish(i)
    expect(await server.channel('c').info()).toMatchObject({ messages: 2, firstOffset: 4, lastOffset: 5 })
  })
})

describe('end and fail', () => {
  it('end: no message follows, and a second end does nothing', async () => {
    const channel = server.channel('c')
    await channel.publish(1)
    await channel.end()
    await channel.end()
    expect(await code(channel.publish(2))).toBe('CHANNEL_ENDED')
    expect(await code(channel.fail(new SSEError('LATE', 'Late.')))).toBe('CHANNEL_ENDED')
    expect(await channel.info()).toMatchObject({ ended: true, lastOffset: 1 })
    expect(await channel.info()).not.toHaveProperty('error')
  })

  // @guarantee internal-errors
  it('fail sends readers the public part of the error, and logs the rest on the server', async () => {
    await server.channel('private').fail(new Error('secret'))
    await server.channel('shown').fail(createError({ statusCode: 402, message: 'Pay first.', data: { code: 'UNPAID' } }))
    expect((await server.channel('private').info()).error).toEqual({ code: 'SOURCE_FAILED', statusCode: 500, message: 'The stream failed because of an error on the server.', retry: false })
    expect((await server.channel('shown').info()).error).toEqual({ code: 'UNPAID', statusCode: 402, message: 'Pay first.', retry: false })
    expect(server.reported).toMatchObject([{ message: 'secret' }])
  })
})

describe('pipe', () => {
  it('publishes each item, then ends', async () => {
    await server.channel('generator').pipe((async function* () {
      yield 1
      yield new TaggedMessage(2, { event: 'named' })
    })())
    expect(await server.channel('generator').read()).toMatchObject({ messages: [{ data: 1 }, { event: 'named', data: 2 }], ended: true })
    await server.channel('stream').pipe(streamOf(1, 2))
    expect((await server.channel('stream').read()).messages.map(({ data }) => data)).toEqual([1, 2])
  })

  it('fails the channel when the source throws or yields data that cannot be sent; it need not be awaited', async () => {
    let released = 0
    const failing = async function* (item: unknown) {
      try {
        yield 1
        if (item instanceof Error) throw item
        yield item
      }
      finally {
        released++
      }
    }
    void server.channel('a').pipe(failing(new Error('secret')))
    expect(await code(server.channel('b').pipe(failing(undefined)))).toBe('INVALID_DATA')
    await eventually(async () => expect(await server.channel('a').read()).toMatchObject({ messages: [{ data: 1 }], ended: true, error: { code: 'SOURCE_FAILED' } }))
    expect(await server.channel('b').read()).toMatchObject({ messages: [{ data: 1 }], ended: true, error: { code: 'INVALID_DATA' } })
    expect(released).toBe(2)
    expect(server.reported).toMatchObject([{ message: 'secret' }, { code: 'INVALID_DATA' }])
  })

  // @guarantee lost-end
  it('a source that cannot even start fails the channel', async () => {
    const stream = streamOf(1)
    stream.getReader()
    await expect(server.channel('c').pipe(stream)).rejects.toThrow('locked')
    expect(await server.channel('c').info()).toMatchObject({ ended: true, error: { code: 'SOURCE_FAILED' } })
  })

  it('its signal ends a source that hangs, and the channel with `ABORTED`', async () => {
    const controller = new AbortController()
    let released = 0
    const source = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}), return: async () => ({ done: true as const, value: void released++ }) }) }
    const piped = server.channel('c').pipe(source, { signal: controller.signal })
    await turns(2)
    controller.abort()
    expect(await code(piped)).toBe('ABORTED')
    expect(await server.channel('c').info()).toMatchObject({ ended: true, error: { code: 'ABORTED', retry: false } })
    expect(released).toBe(1)
    expect(await code(server.channel('d').pipe(source, { signal: AbortSignal.abort() }))).toBe('ABORTED')
  })

  it('stops when another caller ends the channel', async () => {
    let released = 0
    const piped = server.channel('c').pipe((async function* () {
      try {
        for (let i = 0; ; i++) {
          yield i
          await turns(1)
        }
      }
      finally {
        released++
      }
    })())
    await turns(5)
    await server.channel('c').end()
    expect(await code(piped)).toBe('CHANNEL_ENDED')
    // A generator is released when it reaches its next `yield`.
    await eventually(() => expect(released).toBe(1))
  })

  it('a source releases itself once, when it is complete', async () => {
    let released = 0
    const items = [1, 2]
    await server.channel('c').pipe({ [Symbol.asyncIterator]: () => ({ next: async () => ({ done: items.length === 0, value: items.shift() as number }), return: async () => ({ done: true as const, value: void released++ }) }) })
    expect(released).toBe(0)
  })

  // @guarantee bounded
  it('retains nothing that it has published, however long it runs', async () => {
    const watch = collected()
    const gate = Promise.withResolvers<void>()
    const channel = server.channel<{ n: number }>('c', { retention: { maxMessages: 1 } })
    const controller = new AbortController()
    const piped = channel.pipe((async function* () {
      for (let n = 0; n < 1_000; n++) {
        const item = { n }
        watch.add(item)
        yield item
      }
      await gate.promise
    })(), { signal: controller.signal })
    await eventually(async () => expect((await channel.info()).lastOffset).toBe(1_000))
    await watch.atLeast(990)
    gate.resolve()
    await piped
  })
})

describe('read', () => {
  it('reads after a position, and returns where to continue', async () => {
    const channel = server.channel<number>('c')
    for (let i = 1; i <= 5; i++) await channel.publish(i)
    const { epoch } = await channel.info()
    const first = await channel.read({ limit: 2 })
    expect(first).toEqual({ messages: [{ id: `${epoch}.1`, data: 1 }, { id: `${epoch}.2`, data: 2 }], position: `${epoch}.2`, ended: false, gap: null })
    expect((await channel.read({ after: first.position })).messages.map(({ data }) => data)).toEqual([3, 4, 5])
    expect((await channel.read({ after: 4 })).messages.map(({ data }) => data)).toEqual([5])
    expect((await channel.read({ after: 'now' })).messages).toEqual([])
    expect((await channel.read({ after: 9 })).gap).toEqual({ reason: 'invalid', missed: null, position: `${epoch}.0` })
    expect(await code(channel.read({ after: 'nonsense' }))).toBe('INVALID_POSITION')
    expect(await code(channel.read({ after: -1 }))).toBe('INVALID_POSITION')
    for (const limit of [0, -1, 1.5, Number.NaN, '5']) expect(await code(channel.read({ limit: limit as number }))).toBe('INVALID_OPTION')
  })

  // @guarantee order-once
  it('skips nothing when the log restarts or is trimmed between two reads', async () => {
    const retention = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
    for (const meanwhile of ['begins anew', 'is trimmed'] as const) {
      const memory = createMemoryDriver(retention)
      for (let i = 1; i <= 10; i++) await memory.append('c', [{ data: `${i}` }], { ...retention, maxMessages: 5 })
      let reads = 0
      const driver = { ...memory, read: async (...args: Parameters<typeof memory.read>) => {
        if (++reads === 2) {
          if (meanwhile === 'begins anew') await memory.remove('c')
          for (let i = 11; i <= 20; i++) await memory.append('c', [{ data: `${i}` }], { ...retention, maxMessages: meanwhile === 'is trimmed' ? 3 : 1_000 })
        }
        return memory.read(...args)
      } }
      const { messages, position, gap } = await readChannel(driver, 'c', { kind: 'at', epoch: 'another', offset: 10 }, 'start')
      const kept = meanwhile === 'is trimmed' ? [18, 19, 20] : [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
      expect(messages.map(({ data }) => data)).toEqual(kept)
      expect(reads).toBe(meanwhile === 'begins anew' ? 3 : 2)
      expect(position).toBe(messages.at(-1)!.id)
      expect(gap).toEqual({ reason: 'epoch', missed: null, position: position.replace(/\d+$/, String(kept[0]! - (meanwhile === 'begins anew' ? 11 : 1))) })
    }
  })
})

describe('subscribe', () => {
  it('yields retained messages, then new ones, until the channel ends', async () => {
    const channel = server.channel<number>('c')
    await channel.publish(1)
    const collecting = collect(channel.subscribe())
    await eventually(() => expect(server.context.hub.size).toBe(1))
    await channel.publish(2, { event: 'named' })
    await channel.end()
    expect(await collecting).toEqual([1, 2])
    expect(await collect(channel.subscribe({ after: 1 }))).toEqual([2])
    expect(await collect(channel.subscribe({ after: 'now' }))).toEqual([])
  })

  it('throws the error of a failed channel, after its last message', async () => {
    const channel = server.channel<number>('c')
    await channel.publish(1)
    await channel.fail(new SSEError('BROKEN', 'It broke.', { statusCode: 502 }))
    const seen: number[] = []
    await expect((async () => {
      for await (const { data } of channel.subscribe()) seen.push(data)
    })()).rejects.toMatchObject({ code: 'BROKEN', statusCode: 502, message: 'It broke.' })
    expect(seen).toEqual([1])
  })

  it('throws that the server shuts down, which is not the end of the channel', async () => {
    const channel = server.channel<number>('c')
    await channel.publish(1)
    const collecting = collect(channel.subscribe())
    await eventually(() => expect(server.context.hub.size).toBe(1))
    await server.context.close()
    expect(await code(collecting)).toBe('SHUTTING_DOWN')
  })

  it('throws a gap, or calls `onGap` and continues', async () => {
    const channel = server.channel<number>('c', { retention: { maxMessages: 2 } })
    for (let i = 1; i <= 5; i++) await channel.publish(i)
    await channel.end()
    const { epoch } = await channel.info()
    const gap = { reason: 'trimmed', missed: 3, position: `${epoch}.3` }
    await expect(collect(channel.subscribe({ after: 0 }))).rejects.toMatchObject({ code: 'GAP', statusCode: 410, details: { gap } })
    const gaps: SSEGap[] = []
    expect(await collect(channel.subscribe({ after: 0, onGap: gap => void gaps.push(gap) }))).toEqual([4, 5])
    expect(gaps).toEqual([gap])
    expect(() => channel.subscribe({ after: 'nonsense' })).toThrowError(expect.objectContaining({ code: 'INVALID_POSITION' }))
  })

  it('its signal, a break, and return() while idle end it and release everything', async () => {
    const channel = server.channel<number>('c')
    await channel.publish(1)
    const controller = new AbortController()
    const seen: number[] = []
    const idle = (async () => {
      for await (const { data } of channel.subscribe({ signal: controller.signal })) seen.push(data)
    })()
    await eventually(() => expect(seen).toEqual([1]))
    await turns(2)
    controller.abort()
    await idle
    expect(server.context.hub.size).toBe(0)
    expect(await collect(channel.subscribe({ signal: controller.signal }))).toEqual([])

    for await (const { data } of channel.subscribe()) if (data === 1) break
    expect(server.context.hub.size).toBe(0)

    const iterator = channel.subscribe({ after: 'now' })[Symbol.asyncIterator]()
    const next = iterator.next()
    await eventually(() => expect(server.context.hub.size).toBe(1))
    await turns(3)
    await iterator.return!()
    expect(await next).toEqual({ done: true, value: undefined })
    expect(server.context.hub.size).toBe(0)
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  // @guarantee shared-signal
  it('leaves no listener on a signal that outlives it', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const channel = server.channel<number>('c')
    await channel.publish(1)
    await channel.end()
    for (let i = 0; i < 5; i++) await collect(channel.subscribe({ signal }))
    await server.channel('d').pipe([1, 2], { signal })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

describe('delete', () => {
  it('starts from scratch: no message, no end, another epoch', async () => {
    const channel = server.channel<number>('c')
    await channel.publish(1)
    await channel.end()
    const before = await channel.info()
    await channel.delete()
    await channel.delete()
    expect(await channel.publish(2)).toMatch(/\.1$/)
    const after = await channel.info()
    expect(after).toMatchObject({ messages: 1, ended: false })
    expect(after.epoch).not.toBe(before.epoch)
    expect(await channel.read({ after: before.position })).toMatchObject({ gap: { reason: 'epoch', missed: null, position: `${after.epoch}.0` }, messages: [{ data: 2 }] })
  })
})
