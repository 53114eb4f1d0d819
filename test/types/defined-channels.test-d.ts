import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineSSEHandler, sseMessage, useSSEChannel } from '../../src/runtime/server/api'
import type { SSEChannel, SSEMessage, SSESchema } from '../../src/runtime/server/api'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import { openSSE } from '../../src/runtime/client'
import type { SSESource } from '../../src/runtime/client'
import { defineSSEChannel } from '../../src/runtime/publisher'

type Sent<Handler extends (...args: never[]) => unknown> = Awaited<ReturnType<Handler>> extends { __sse: infer M } ? M : never

const notices = defineSSEChannel((userId: string) => `user:${userId}`, { schema: z.object({ title: z.string(), at: z.coerce.number<string>() }), retention: { maxMessages: 200 } })
const job = defineSSEChannel((id: string, part = 1) => `job:${id}:${part}`, { events: { progress: z.object({ percent: z.number() }), log: z.string() } })
const both = defineSSEChannel('both', { schema: z.number(), events: { log: z.string() } })

type Notice = SSEMessage<{ title: string, at: number }>
type JobMessage = { id?: string, event: 'progress', data: { percent: number } } | { id?: string, event: 'log', data: string }

describe('a defined channel', () => {
  it('takes the arguments of its name', () => {
    expectTypeOf(notices).parameters.toEqualTypeOf<[userId: string]>()
    expectTypeOf(job).parameters.toEqualTypeOf<[id: string, part?: number]>()
    expectTypeOf(both).parameters.toEqualTypeOf<[]>()
    // @ts-expect-error A number is no user's id.
    notices(42)
  })

  it('publishes the input of its schema', () => {
    const channel = notices('42')
    void channel.publish({ title: 'Hi', at: '1' })
    void channel.publish({ title: 'Hi', at: '1' }, { event: 'any', key: 'k' })
    // @ts-expect-error The output is no input.
    void channel.publish({ title: 'Hi', at: 1 })
    // @ts-expect-error A part is missing.
    void channel.publish({ title: 'Hi' })
  })

  it('publishes each event with its own data, and no other', () => {
    const channel = job('7')
    void channel.publish({ percent: 5 }, { event: 'progress', key: 'k' })
    void channel.publish('started', { event: 'log' })
    // @ts-expect-error The name is misspelt.
    void channel.publish({ percent: 5 }, { event: 'progres' })
    // @ts-expect-error The data of another event.
    void channel.publish('5', { event: 'progress' })
    // @ts-expect-error Unnamed messages have no schema.
    void channel.publish({ percent: 5 })
    // @ts-expect-error Nor has this name.
    void channel.publish('x', { event: undefined })
  })

  it('with both takes unnamed messages, too', () => {
    void both().publish(1)
    void both().publish(1, { key: 'k' })
    void both().publish('x', { event: 'log' })
    // @ts-expect-error Unnamed are numbers.
    void both().publish('x')
    // @ts-expect-error The name is misspelt.
    void both().publish(1, { event: 'lag' })
  })

  it('is filled by pipe and run with what publish takes', () => {
    void job('7').run(async function* () {
      yield sseMessage({ percent: 5 }, { event: 'progress' })
      yield sseMessage('x', { event: 'log' })
    })
    void notices('1').pipe([{ title: 'Hi', at: '1' }])
    void both().pipe([1, sseMessage('x', { event: 'log' })])
    void job('7').pipe(new Response())
    // @ts-expect-error The name is misspelt.
    void job('7').pipe([sseMessage('x', { event: 'lag' })])
    // @ts-expect-error It has no name.
    void job('7').pipe(['x'])
    // @ts-expect-error The data of another event.
    void job('7').run(() => [sseMessage('x', { event: 'progress' })])
  })

  it('gives the output of its schema to readers', async () => {
    expectTypeOf((await notices('1').read()).messages).toEqualTypeOf<Notice[]>()
    expectTypeOf((await job('1').read()).messages).toEqualTypeOf<JobMessage[]>()
    for await (const message of job('7').subscribe()) {
      expectTypeOf(message).toEqualTypeOf<JobMessage>()
      if (message.event === 'progress') expectTypeOf(message.data).toEqualTypeOf<{ percent: number }>()
      // @ts-expect-error The name is misspelt.
      void (message.event === 'lag')
    }
  })

  it('types a route that returns it, without a type argument', () => {
    const _notices = defineSSEHandler(async () => notices('1'))
    expectTypeOf<Sent<typeof _notices>>().toEqualTypeOf<Notice>()
    const _job = defineSSEHandler(() => job('1'))
    expectTypeOf<Sent<typeof _job>>().toEqualTypeOf<JobMessage>()
    const _run = defineSSEHandler(() => job('1').run(() => []))
    expectTypeOf<Sent<typeof _run>>().toEqualTypeOf<JobMessage>()
    const _both = defineSSEHandler(() => both())
    expectTypeOf<Sent<typeof _both>>().toEqualTypeOf<SSEMessage<number, undefined> | { id?: string, event: 'log', data: string }>()
    const _choice = defineSSEHandler(() => Math.random() < 0.5 ? notices('1') : job('1'))
    expectTypeOf<Sent<typeof _choice>>().toEqualTypeOf<Notice | JobMessage>()
  })

  it('without a schema is what its type argument says', () => {
    expectTypeOf(defineSSEChannel('a')).toEqualTypeOf<() => SSEChannel>()
    expectTypeOf(defineSSEChannel<{ n: number }>('a')).toEqualTypeOf<() => SSEChannel<{ n: number }>>()
    expectTypeOf(defineSSEChannel<{ n: number }, [id: string]>(id => `a:${id}`)).toEqualTypeOf<(id: string) => SSEChannel<{ n: number }>>()
    expectTypeOf(defineSSEChannel((id: number) => `a:${id}`, { retention: { maxMessages: 1 } })).toEqualTypeOf<(id: number) => SSEChannel>()
  })
})

describe('useSSEChannel with schemas', () => {
  it('is typed as a defined one', () => {
    const channel = useSSEChannel('a', { events: { log: z.string() } })
    void channel.publish('x', { event: 'log' })
    // @ts-expect-error The name is misspelt.
    void channel.publish('x', { event: 'lag' })
    const read = () => useSSEChannel('a', { schema: v.object({ n: v.pipe(v.string(), v.transform(Number)) }) }).read()
    expectTypeOf(read).returns.resolves.toHaveProperty('messages').toEqualTypeOf<SSEMessage<{ n: number }>[]>()
    void useSSEChannel('a', { schema: type({ n: 'string' }) }).publish({ n: 'x' })
    // @ts-expect-error It is a string.
    void useSSEChannel('a', { schema: type({ n: 'string' }) }).publish({ n: 1 })
    expectTypeOf(useSSEChannel('a', { retention: { maxMessages: 1 } })).toEqualTypeOf<SSEChannel>()
    expectTypeOf(useSSEChannel<number>('a', { retention: { maxMessages: 1 } })).toEqualTypeOf<SSEChannel<number>>()
    // @ts-expect-error It is no schema.
    useSSEChannel('a', { schema: {} })
  })

  it('any Standard Schema is one', () => {
    expectTypeOf<StandardSchemaV1<string, number>>().toExtend<SSESchema<string, number>>()
    expectTypeOf<StandardSchemaV1>().toExtend<SSESchema>()
  })
})

describe('schemas of a client', () => {
  const events = { progress: z.object({ percent: z.coerce.number<string>() }), log: z.string() }

  it('type the messages of openSSE', async () => {
    for await (const message of openSSE('https://example.com', { schema: z.object({ n: z.coerce.number<string>() }), until: ({ data }) => data.n > 5 })) {
      expectTypeOf(message).toEqualTypeOf<SSEMessage<{ n: number }>>()
    }
    void openSSE('https://example.com', { events: { log: z.object({ t: z.string() }) }, until: ({ event, data }) => event === 'log' && data.t === 'end' })
    for await (const message of openSSE('https://example.com', { events })) {
      if (message.event === 'progress') expectTypeOf(message.data).toEqualTypeOf<{ percent: number }>()
      // @ts-expect-error The name is misspelt.
      void (message.event === 'lag')
    }
    expectTypeOf(openSSE<number>('https://example.com', { position: 'now' })).toEqualTypeOf<SSESource<SSEMessage<number>>>()
    // @ts-expect-error It is no schema.
    openSSE('https://example.com', { schema: {} })
  })

  it('type the refs, callbacks and `reduce` of useSSE', () => {
    const { data, on } = useSSE('https://example.com', { schema: z.object({ n: z.number() }), events })
    expectTypeOf(data.value).toEqualTypeOf<{ n: number } | { percent: number } | string | undefined>()
    on('progress', message => expectTypeOf(message.data).toEqualTypeOf<{ percent: number }>())
    // @ts-expect-error The name is misspelt.
    on('lag', () => {})
    const sum = useSSE(() => 'https://example.com', { schema: z.object({ n: z.number() }), initial: 0, reduce: (total, message) => {
      expectTypeOf(message.data).toEqualTypeOf<{ n: number }>()
      return total + message.data.n
    } })
    expectTypeOf(sum.data.value).toEqualTypeOf<number>()
  })
})
