import { describe, expectTypeOf, it } from 'vitest'
import type { SSEConnection, SSEMessage } from '../../src/runtime/server/api'
import { defineSSEHandler, sseMessage, useSSEChannel } from '../../src/runtime/server/api'

type Sent<Handler extends (...args: never[]) => unknown> = Awaited<ReturnType<Handler>> extends { __sse: infer M } ? M : never

describe('the messages of a handler', () => {
  it('come from a generator, with named messages separate', () => {
    const _handler = defineSSEHandler(async function* () {
      yield { n: 1 }
      yield sseMessage({ percent: 5 }, { event: 'progress' })
    })
    expectTypeOf<Sent<typeof _handler>>().toEqualTypeOf<SSEMessage<{ n: number }, undefined> | { id?: string, event: 'progress', data: { percent: number } }>()
  })

  it('are not separated by a name that may be missing', () => {
    const name = undefined as 'progress' | undefined
    const _handler = defineSSEHandler(async function* () {
      yield sseMessage(1, { event: name })
    })
    expectTypeOf<Sent<typeof _handler>>().toEqualTypeOf<SSEMessage<number, 'progress' | undefined>>()
  })

  it('come from a channel, a promise of one, or a choice', () => {
    const _channel = defineSSEHandler(() => useSSEChannel<{ title: string }>('x'))
    expectTypeOf<Sent<typeof _channel>>().toEqualTypeOf<SSEMessage<{ title: string }>>()
    const _later = defineSSEHandler(async () => useSSEChannel<number>('x'))
    expectTypeOf<Sent<typeof _later>>().toEqualTypeOf<SSEMessage<number>>()
  })

  it('come from a run, whose producer has the type of the channel', () => {
    const _run = defineSSEHandler(() => useSSEChannel<{ n: number }>('x').run(async function* ({ signal, offset, position }) {
      expectTypeOf({ signal, offset, position }).toEqualTypeOf<{ signal: AbortSignal, offset: number, position: string }>()
      yield { n: 1 }
      yield sseMessage({ n: 2 }, { event: 'second' })
    }))
    expectTypeOf<Sent<typeof _run>>().toEqualTypeOf<SSEMessage<{ n: number }>>()
    // @ts-expect-error The channel holds numbers.
    void useSSEChannel<{ n: number }>('x').run(() => ['text'])
    // @ts-expect-error A pipe does not accept them either.
    void useSSEChannel<{ n: number }>('x').pipe(['text'])
    expectTypeOf(useSSEChannel<{ n: number }>('x').pipe).toBeCallableWith(new Response())
    expectTypeOf(useSSEChannel<{ n: number }>('x').pipe).toBeCallableWith(new ReadableStream<Uint8Array>())
  })

  it('come from a stream, or an annotated connection', () => {
    const _stream = defineSSEHandler(() => new ReadableStream<'a' | 'b'>())
    expectTypeOf<Sent<typeof _stream>['data']>().toEqualTypeOf<'a' | 'b'>()
    const _pushed = defineSSEHandler((_, connection: SSEConnection<number>) => {
      void connection.push(1)
    })
    expectTypeOf<Sent<typeof _pushed>>().toEqualTypeOf<SSEMessage<number>>()
  })
})
