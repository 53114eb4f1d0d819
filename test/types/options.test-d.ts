import { describe, expectTypeOf, it } from 'vitest'
import type { H3Event } from 'h3'
import type { ModuleOptions } from '../../src/build/options'
import type { SSEOwnHandlerOptions } from '../../src/runtime/server/options'
import { defineSSEHandler } from '../../src/runtime/server/api'

describe('options', () => {
  it('that are functions belong to a handler, and not to the module', () => {
    expectTypeOf<ModuleOptions>().not.toHaveProperty('clientKey')
    expectTypeOf<ModuleOptions>().not.toHaveProperty('revalidate')
    expectTypeOf<SSEOwnHandlerOptions['clientKey']>().toEqualTypeOf<((event: H3Event) => string | undefined) | undefined>()
    defineSSEHandler(() => {}, { clientKey: event => event.path, revalidate: { everyMs: 1_000, check: async event => event.path !== '' } })
    // @ts-expect-error A check is needed.
    defineSSEHandler(() => {}, { revalidate: { everyMs: 1_000 } })
  })

  it('that are limits take numbers or `false`, in both', () => {
    type Limits = 'maxConnections' | 'maxConnectionsPerClient' | 'trustProxy' | 'maxPublishPerSecond'
    expectTypeOf<ModuleOptions[Limits]>().toEqualTypeOf<number | false | undefined>()
    expectTypeOf<SSEOwnHandlerOptions[Limits]>().toEqualTypeOf<number | false | undefined>()
    expectTypeOf<ModuleOptions['shutdownMs']>().toEqualTypeOf<number | undefined>()
  })
})
