import { type } from 'arktype'
import fc from 'fast-check'
import * as v from 'valibot'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { readChannelOptions } from '../../../src/runtime/server/channel/message-schemas'
import { Channel } from '../../../src/runtime/server/channel/channel'
import type { SSESchemaOptions } from '../../../src/runtime/server/channel/types'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { TaggedMessage } from '../../../src/runtime/server/wire/message'
import type { SSEError } from '../../../src/runtime/shared/errors'
import type { SSESchema } from '../../../src/runtime/shared/standard-schema'
import { useSSEServers } from '../../support/sse-server'

const start = useSSEServers()
afterEach(() => vi.restoreAllMocks())

async function channels(timeoutMs?: number) {
  const driver = Object.assign(createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention), timeoutMs && { timeoutMs })
  const server = await start({}, driver)
  let named = 0
  return {
    reported: server.reported,
    stats: server.context.insight,
    publishing: server.context.publishing,
    channel: (options: SSESchemaOptions = {}, name = `c${++named}`) => new Channel<unknown>(server.context, name, options, readChannelOptions(options).schemas),
  }
}

const kept = async (channel: Channel) => (await channel.read()).messages.map(({ event, data }) => event === undefined ? data : [event, data])
const failure = (promise: Promise<unknown>): Promise<SSEError> => promise.then(() => expect.fail('It was taken.'), error => error as SSEError)
const tagged = (data: unknown, event: string) => new TaggedMessage(data, { event })

/** A schema that answers when it is told to. */
function slow() {
  const calls: { value: unknown, answer(): void, refuse(): void, fail(error: unknown): void }[] = []
  const schema: SSESchema = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: value => new Promise((resolve, reject) => calls.push({
        value, fail: reject, answer: () => resolve({ value }), refuse: () => resolve({ issues: [{ message: 'no' }] }),
      })),
    },
  }
  return { schema, calls }
}

const LIBRARIES: Record<string, { title: SSESchema, size: SSESchema, later: SSESchema }> = {
  zod: {
    title: z.object({ title: z.string() }),
    size: z.object({ size: z.string().transform(Number) }),
    later: z.object({ title: z.string().refine(async title => title.length < 5, 'Too long.') }),
  },
  valibot: {
    title: v.object({ title: v.string() }),
    size: v.object({ size: v.pipe(v.string(), v.transform(Number)) }),
    later: v.objectAsync({ title: v.pipeAsync(v.string(), v.checkAsync(async title => title.length < 5, 'Too long.')) }),
  },
  arktype: {
    title: type({ title: 'string' }) as unknown as SSESchema,
    size: type({ size: type('string').pipe(Number) }) as unknown as SSESchema,
    // It has none.
    later: z.object({ title: z.string().refine(async title => title.length < 5, 'Too long.') }),
  },
}

describe.each(Object.entries(LIBRARIES))('a schema of %s', (_, { title, size, later }) => {
  it('keeps its output, which is what readers receive', async () => {
    const { channel } = await channels()
    const titles = channel({ schema: title })
    await titles.publish({ title: 'Hi' })
    expect(await kept(titles)).toEqual([{ title: 'Hi' }])
    const sizes = channel({ schema: size })
    await sizes.publish({ size: '12' })
    expect(await kept(sizes)).toEqual([{ size: 12 }])
  })

  it('refuses data that does not fit, keeps none of it, and names where', async () => {
    const { channel, stats } = await channels()
    const titles = channel({ schema: title })
    for (const data of [{ title: 7 }, {}, null, 'x', [], { title: null }, undefined]) {
      const error = await failure(titles.publish(data))
      expect(error).toMatchObject({ code: 'INVALID_MESSAGE', statusCode: 400, retry: false })
      const issues = error.details.issues as { path: (string | number)[], message: string }[]
      expect(issues.length).toBeGreaterThan(0)
      expect(error.message).toContain(issues[0]!.message)
    }
    expect((await failure(titles.publish({ title: 7 }))).details.issues).toEqual([{ path: ['title'], message: expect.any(String) as string }])
    expect(await kept(titles)).toEqual([])
    expect(stats.publishErrors.get('INVALID_MESSAGE')).toBe(8)
  })

  it('repeats nothing of the input in texts', async () => {
    const { channel } = await channels()
    for (const secret of ['hunter2', 'a"b', '$1.*', 'x'.repeat(2_000), { deep: ['hunter2'] }]) {
      for (const schema of [size, title]) {
        const error = await failure(channel({ schema }).publish({ title: { toString: 1, secret }, size: { secret } }))
        expect(JSON.stringify([error.message, error.details])).not.toMatch(/hunter2|a\\+"b|\$1\.\*|x{100}/)
      }
    }
    const error = await failure(channel({ schema: z.object({ n: z.never() }) }).publish({ n: 'hunter2' }))
    expect(JSON.stringify([error.message, error.details])).not.toContain('hunter2')
    for (const schema of [v.object({ n: v.number() }), type({ n: 'number' }) as unknown as SSESchema, type({ n: 'string.email' }) as unknown as SSESchema, v.object({ n: v.pipe(v.string(), v.email()) })]) {
      const error = await failure(channel({ schema }).publish({ n: 'hunter2' }))
      expect(JSON.stringify([error.message, error.details])).not.toContain('hunter2')
    }
  })

  it('may take its time', async () => {
    const { channel, publishing } = await channels()
    const titles = channel({ schema: later })
    await titles.publish({ title: 'abcd' })
    expect(await failure(titles.publish({ title: 'abcde' }))).toMatchObject({ code: 'INVALID_MESSAGE', message: expect.stringContaining('Too long.') as string, details: { issues: [{ path: ['title'], message: 'Too long.' }] } })
    expect(await kept(titles)).toEqual([{ title: 'abcd' }])
    expect(publishing.size).toBe(0)
  })
})

describe('schemas by event name', () => {
  const events = { progress: z.object({ percent: z.number() }), log: z.string() }

  it('without a schema for unnamed messages, refuses these and other names', async () => {
    const { channel } = await channels()
    const job = channel({ events })
    await job.publish({ percent: 5 }, { event: 'progress' })
    await job.publish('started', { event: 'log' })
    for (const [data, event] of [[1, undefined], ['x', 'toString'], ['x', 'constructor'], ['x', 'Log'], ['x', '__proto__'], ['x', 'other']] as const) {
      const error = await failure(job.publish(data, { event }))
      expect(error).toMatchObject({ code: 'INVALID_EVENT', statusCode: 400 })
      expect(error.message).toContain('`progress`, `log`')
      if (event !== undefined && event !== 'Log') expect(error.message).not.toContain(event)
    }
    expect(await failure(job.publish(1, { event: 'sse' }))).toMatchObject({ code: 'RESERVED_EVENT' })
    expect(await failure(job.publish({ percent: 'x' }, { event: 'progress' }))).toMatchObject({ code: 'INVALID_MESSAGE' })
    expect(await failure(job.publish(tagged(1, 'log')))).toMatchObject({ code: 'INVALID_MESSAGE' })
    expect(await kept(job)).toEqual([['progress', { percent: 5 }], ['log', 'started']])
  })

  it('with a schema, it is for unnamed messages only', async () => {
    const { channel } = await channels()
    const job = channel({ schema: z.number(), events })
    await job.publish(1)
    await job.publish('x', { event: 'log' })
    expect(await failure(job.publish(1, { event: 'other' }))).toMatchObject({ code: 'INVALID_EVENT' })
    expect(await failure(job.publish('x'))).toMatchObject({ code: 'INVALID_MESSAGE' })
    expect(await kept(job)).toEqual([1, ['log', 'x']])
  })

  it('without events, the schema is for every message', async () => {
    const { channel } = await channels()
    const job = channel({ schema: z.number() })
    await job.publish(1)
    await job.publish(2, { event: 'any' })
    expect(await failure(job.publish('x', { event: 'any' }))).toMatchObject({ code: 'INVALID_MESSAGE' })
    expect(await kept(job)).toEqual([1, ['any', 2]])
  })
})

const boom = new Error('secret')

function fail(): never {
  throw boom
}

/** Issues that no library returns, and a schema of one's own may. */
const UNREADABLE = [null, { message: 'no', path: null }, { message: 'no', path: [null] }, { message: Object.create(null) }, Object.defineProperty({}, 'message', { get: fail })]

describe('a schema that fails', () => {
  it('by throwing, rejecting or answering nothing is SCHEMA_FAILED, and its cause is logged once', async () => {
    const { channel, reported } = await channels()
    const of = (validate: () => unknown): SSESchema => ({ '~standard': { version: 1, vendor: 'test', validate: validate as never } })
    for (const validate of [fail, () => Promise.reject(boom), () => 7, () => null, () => Promise.resolve(undefined), () => ({ issues: 7 }), ...UNREADABLE.flatMap(issue => [() => ({ issues: [issue] }), async () => ({ issues: [issue] })])]) {
      const error = await failure(channel({ schema: of(validate) }).publish(1))
      expect(error).toMatchObject({ code: 'SCHEMA_FAILED', statusCode: 500, retry: false })
      expect(error.message).not.toContain('secret')
      expect(reported.splice(0)).toEqual([error])
    }
    const error = await failure(channel({ schema: of(fail) }).publish(1))
    expect(error.cause).toBe(boom)
    const piped = await failure(channel({ schema: of(fail) }).pipe([1]))
    expect(piped).toMatchObject({ code: 'SCHEMA_FAILED' })
    expect(reported.splice(0)).toEqual([error, piped])
  })

  it('by hanging is given up, since later publishes wait for it', async () => {
    const { channel, publishing } = await channels(50)
    const { schema, calls } = slow()
    const first = failure(channel({ schema }, 'same').publish(1))
    const second = channel({}, 'same').publish(2)
    expect(await first).toMatchObject({ code: 'SCHEMA_FAILED', message: expect.stringContaining('50 ms') as string })
    await second
    calls[0]!.answer()
    expect(await kept(channel({}, 'same'))).toEqual([2])
    expect(publishing.size).toBe(0)
  })
})

describe('the order of publishes', () => {
  it('is that of their calls, whatever schemas answer first, over several handles of one channel', async () => {
    const { channel, publishing } = await channels()
    await fc.assert(fc.asyncProperty(
      fc.array(fc.record({ async: fc.boolean(), fits: fc.boolean() }), { minLength: 1, maxLength: 8 }), fc.infiniteStream(fc.nat()),
      async (messages, picks) => {
        const { schema, calls } = slow()
        const name = `p${Math.random()}`
        const published = messages.map(({ async }, index) => channel(async ? { schema } : {}, name).publish(index).then(() => index, () => undefined))
        const open = [...calls]
        for (const pick of picks) {
          if (!open.length) break
          const [call] = open.splice(pick % open.length, 1)
          if (messages[call!.value as number]!.fits) call!.answer()
          else call!.refuse()
          await Promise.resolve()
        }
        const taken = (await Promise.all(published)).filter(index => index !== undefined)
        expect(taken).toEqual(messages.flatMap(({ async, fits }, index) => async && !fits ? [] : [index]))
        expect(await kept(channel({}, name))).toEqual(taken)
        expect(publishing.size).toBe(0)
      },
    ), { numRuns: 100 })
  })

  it('makes nothing wait on another channel, nor once the schema has answered', async () => {
    const { channel } = await channels()
    const { schema, calls } = slow()
    const waiting = channel({ schema }, 'a').publish(1)
    await channel({}, 'b').publish(2)
    calls[0]!.answer()
    await waiting
    await channel({}, 'a').publish(3)
    expect(await kept(channel({}, 'a'))).toEqual([1, 3])
  })

  it('a shutdown waits for a message whose schema is at work', async () => {
    const driver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
    const server = await start({ shutdownMs: 5_000 }, driver)
    const { schema, calls } = slow()
    const published = new Channel<unknown>(server.context, 'a', {}, readChannelOptions({ schema }).schemas).publish(1)
    const closed = server.context.close()
    calls[0]!.answer()
    await published
    await closed
  })
})

describe('options', () => {
  it.each<[string, unknown, string]>([
    ['a schema that is none', { schema: {} }, 'schema'],
    ['a function that is none', { schema: () => true }, 'schema'],
    ['null', { schema: null }, 'schema'],
    ['an event without a schema', { events: { a: 1 } }, 'events.a'],
    ['events as a list', { events: [z.string()] }, 'events'],
    ['the reserved name', { events: { sse: z.string() } }, 'events'],
    ['a name with a line break', { events: { 'a\nb': z.string() } }, 'events'],
    ['an unknown option', { schemas: z.string() }, 'schemas'],
    ['a bad retention', { retention: { maxMessages: 0 } }, 'retention.maxMessages'],
  ])('refuses %s', (_, options, named) => {
    expect(() => readChannelOptions(options as SSESchemaOptions)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(`\`${named}\``) as string }))
  })
})
