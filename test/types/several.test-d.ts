import { describe, expectTypeOf, it } from 'vitest'
import type { SSEMessage, SSEReadOlderResult, SSEReadResult } from '../../src/runtime/server/api'
import { createSSETicket, defineSSEHandler, useSSEChannel, useSSEChannels } from '../../src/runtime/server/api'

type Sent<Handler extends (...args: never[]) => unknown> = Awaited<ReturnType<Handler>> extends { __sse: infer M } ? M : never

describe('several channels', () => {
  const _handler = defineSSEHandler(() => useSSEChannels({ notices: useSSEChannel<{ title: string }>('n'), feed: useSSEChannel<number>('f') }))
  type Message = Sent<typeof _handler>

  it('are typed as a union that `channel` discriminates', () => {
    expectTypeOf<Message['channel']>().toEqualTypeOf<'notices' | 'feed'>()
    expectTypeOf<Extract<Message, { channel: 'notices' }>['data']>().toEqualTypeOf<{ title: string }>()
    expectTypeOf<Extract<Message, { channel: 'feed' }>['data']>().toEqualTypeOf<number>()
    const message = {} as Message
    if (message.channel === 'feed') expectTypeOf(message.data).toEqualTypeOf<number>()
    else expectTypeOf(message.data).toEqualTypeOf<{ title: string }>()
    // @ts-expect-error There is no such key.
    void (message.channel === 'other')
  })

  it('also of a promise, and with keys that are not known', () => {
    const _later = defineSSEHandler(async () => useSSEChannels({ a: useSSEChannel<1>('a') }))
    expectTypeOf<Sent<typeof _later>['data']>().toEqualTypeOf<1>()
    expectTypeOf<Sent<typeof _later>['channel']>().toEqualTypeOf<'a'>()
    const _any = defineSSEHandler(() => useSSEChannels(Object.fromEntries(['a', 'b'].map(name => [name, useSSEChannel<boolean>(name)]))))
    expectTypeOf<Sent<typeof _any>>().toMatchTypeOf<SSEMessage<boolean>>()
  })

  it('take channels only', () => {
    // @ts-expect-error A name is no channel.
    void (() => useSSEChannels({ a: 'a' }))
    expectTypeOf(createSSETicket).toBeCallableWith(['a', useSSEChannel('b')])
  })
})

describe('read', () => {
  it('by what is asked for', () => {
    const channel = useSSEChannel<{ n: number }>('c')
    expectTypeOf(channel.read()).resolves.toEqualTypeOf<SSEReadResult<{ n: number }>>()
    expectTypeOf(channel.read({ last: 50 })).resolves.toEqualTypeOf<SSEReadResult<{ n: number }>>()
    expectTypeOf(channel.read({ before: 'e1.5', limit: 10 })).resolves.toEqualTypeOf<SSEReadOlderResult<{ n: number }>>()
  })
})
