import type { H3Event } from 'h3'
import type { NitroApp } from 'nitropack/types'
import { describe, expectTypeOf, it } from 'vitest'
import type { SSEClosed, SSEErrorPlace, SSEGap, SSEPublished, SSEStats } from '../../src/runtime/server/api'
import { useSSEStats } from '../../src/runtime/server/api'

describe('insight for an application', () => {
  it('hooks have typed events', () => {
    const { hooks } = {} as NitroApp
    void (() => {
      hooks.hook('sse:open', ({ event, route, channel }) => {
        expectTypeOf(event).toEqualTypeOf<H3Event>()
        expectTypeOf(route).toEqualTypeOf<string | undefined>()
        expectTypeOf(channel).toEqualTypeOf<string | undefined>()
      })
      hooks.hook('sse:close', (closed) => {
        expectTypeOf(closed).toEqualTypeOf<SSEClosed>()
        expectTypeOf(closed.reason).toEqualTypeOf<'end' | 'error' | 'leave' | 'disconnect'>()
      })
      hooks.hook('sse:publish', async (published) => {
        expectTypeOf(published).toEqualTypeOf<SSEPublished>()
      })
      hooks.hook('sse:gap', ({ gap, transport }) => {
        expectTypeOf(gap).toEqualTypeOf<SSEGap>()
        expectTypeOf(transport).toEqualTypeOf<'stream' | 'poll'>()
      })
      hooks.hook('sse:error', ({ error, code, where }) => {
        expectTypeOf(error).toEqualTypeOf<unknown>()
        expectTypeOf(code).toEqualTypeOf<string>()
        expectTypeOf(where).toEqualTypeOf<SSEErrorPlace>()
      })
      // @ts-expect-error There is no such hook.
      hooks.hook('sse:opened', () => {})
    })
  })

  it('useSSEStats returns numbers', () => {
    expectTypeOf(useSSEStats).returns.toEqualTypeOf<SSEStats>()
    type Numbers = SSEStats[Exclude<keyof SSEStats, 'driver'>]
    expectTypeOf<Numbers>().toExtend<number | Record<string, number>>()
  })
})
