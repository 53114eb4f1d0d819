import { isError } from 'h3'
import { HookableCore, createHooks } from 'hookable'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { eventually } from '../../support/conditions'

/** The context of a process. Each instance of the module has one, and each test its own instance. Only the runtime config of the framework is a replacement. */

const config = vi.hoisted(() => ({ sse: {} as object }))
vi.mock('#sse/nitro', () => ({ BUN_IDLE_VARIABLE: 'BUN_IDLE', useRuntimeConfig: () => config, isCachedByRule: () => false }))

let nitro: typeof import('../../../src/runtime/server/entry/runtime-context')
beforeEach(async () => {
  vi.resetModules()
  config.sse = { shutdownMs: 200 }
  nitro = await import('../../../src/runtime/server/entry/runtime-context')
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

it('warns once, whether or not an application sets its own driver', () => {
  vi.stubEnv('NUXT_SSE_HEARTBEET_MS', '1')
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  nitro.startSSEContext()
  expect(warn).toHaveBeenCalledTimes(1)
  nitro.useDriver(createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention))
  nitro.useDriver(createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention))
  nitro.useSSEContext()
  expect(warn.mock.calls).toEqual([[expect.stringContaining('NUXT_SSE_HEARTBEET_MS')]])
})

it('takes texts and flags from the environment in the form that Nitro gives them', () => {
  config.sse = { heartbeatText: 5, resumable: 1, redis: { cluster: 0, keyPrefix: 7 } }
  expect(nitro.useSSEContext().options).toMatchObject({ heartbeatText: '5', resumable: true })
})

it.each<[object, string]>([
  [{ heartbeatMs: 'soon' }, 'Expected `heartbeatMs` to be a whole number of milliseconds from 1 to 2147483647, or `false`, got `"soon"`.'],
  [{ resumable: 'yes' }, 'Expected `resumable` to be `true` or `false`, got `"yes"`.'],
  [{ driver: 'kafka' }, 'Expected `sse.driver` to be `"memory"` or `"redis"`, got `"kafka"`.'],
  [{ driver: 'redis', redis: { timeoutMs: '2s' } }, 'Expected `sse.redis.timeoutMs` to be a whole number of milliseconds from 1 to 2147483647, got `"2s"`.'],
  [{ redis: { url: 'redis://a,redis://b' } }, 'Expected `redis.url` to be one URL'],
  [{ ticketSecret: 'short' }, 'Expected each secret in `ticketSecret` (NUXT_SSE_TICKET_SECRET) to have at least 32 characters'],
])('refuses %j when the server starts', (sse, sentence) => {
  config.sse = sse
  expect(() => nitro.startSSEContext()).toThrow(sentence)
})

describe('choices of plugins', () => {
  const memory = (name = 'own'): LogDriver => ({ ...createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention), name })
  const tooLate = (what: string, setter: string) => expect.objectContaining({ code: 'INVALID_OPTION', message: `Expected the ${what} to be set before a channel is used. Call \`${setter}\` in a server plugin.` })
  const channel = async () => new (await import('../../../src/runtime/server/channel/channel')).Channel(nitro.useSSEContext(), 'c')

  it.each([['before', () => {}], ['after', () => nitro.startSSEContext()]])('the last driver set %s the module\'s plugin takes effect', (_, start) => {
    start()
    nitro.useDriver(memory('first'))
    nitro.useDriver(memory('second'))
    nitro.startSSEContext()
    expect(nitro.useSSEContext().driver.name).toBe('second')
    expect(nitro.useSSEContext()).toBe(nitro.useSSEContext())
  })

  it('a driver is refused after the first use of the context, or if it is incomplete', () => {
    expect(() => nitro.useDriver({ ...memory(), append: undefined } as never)).toThrow('Expected `driver` to be a `LogDriver` with the method `append`')
    expect(() => nitro.useDriver(undefined as never)).toThrow('Expected `driver` to be a `LogDriver` with the method `append`, got `undefined`.')
    // `lease` is optional, and `state` no longer belongs to a driver.
    nitro.useDriver({ ...memory(), lease: undefined, state: 5 } as never)
    nitro.useDriver(memory('memory'))
    nitro.useSSEContext()
    expect(() => nitro.useDriver(memory())).toThrow(tooLate('driver', 'setSSEDriver'))
    expect(nitro.useSSEContext().driver.name).toBe('memory')
  })

  it('an application can set its Redis clients until the first one is made, and only for the driver redis', async () => {
    const factory = vi.fn(() => Promise.reject(new Error('no client')))
    expect(() => nitro.useRedisClientFactory(factory)).toThrow('Expected `sse.driver` to be `"redis"` when `setSSERedisClient` is called, got `"memory"`.')
    config.sse = { driver: 'redis', redis: { timeoutMs: 50 } }
    vi.resetModules()
    nitro = await import('../../../src/runtime/server/entry/runtime-context')
    vi.spyOn(console, 'error').mockImplementation(() => {})
    const handle = await channel()
    nitro.useRedisClientFactory(() => Promise.reject(new Error('another')))
    nitro.useRedisClientFactory(factory)
    await expect(handle.publish(1)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    expect(factory).toHaveBeenCalledWith(expect.anything(), 'commands')
    expect(() => nitro.useRedisClientFactory(factory)).toThrow(tooLate('client factory', 'setSSERedisClient'))
    await nitro.useSSEContext().close()
  })

  it.each([['before', true], ['after', false]])('hooks and the tap set %s the first use take effect', async (_, early) => {
    const heard: unknown[] = []
    const hooks = createHooks()
    hooks.hook('sse:publish', (published: unknown) => void heard.push(published))
    const tap = ((_, sink) => sink) satisfies ReturnType<typeof nitro.useSSEContext>['tap']
    const choose = () => {
      nitro.connectHooks(hooks)
      nitro.tapConnections(tap)
    }
    if (early) choose()
    const handle = await channel()
    if (!early) choose()
    const id = await handle.publish(1)
    await eventually(() => expect(heard).toEqual([expect.objectContaining({ channel: 'c', id })]))
    expect(nitro.useSSEContext().tap).toBe(tap)
  })
})

it('a shutdown before the first use rejects later requests', async () => {
  nitro.startSSEContext()
  await nitro.leaveSSEContext()
  expect(nitro.useSSEContext().closing.aborted).toBe(true)
})

it('an ordinary handler may throw an `SSEError` before the first use', async () => {
  const { SSEError } = await import('../../../src/runtime/shared/errors')
  nitro.startSSEContext()
  expect(isError(new SSEError('NO', 'No.', { statusCode: 403 }))).toBe(true)
})

describe('the hook `close`', () => {
  const codeOf = (promise: Promise<unknown>) => promise.then(() => 'kept', error => error.code)

  // The hooks of Nitro 2 and of Nitro 3.
  it.each([['Hookable', () => createHooks()], ['HookableCore', () => new HookableCore()]])('%s: ends streams and their clean-ups first, then runs all listeners, which can publish, then closes the driver', async (_, create) => {
    const hooks = create()
    const { Channel } = await import('../../../src/runtime/server/channel/channel')
    const done: string[] = []
    const driver: LogDriver = { ...createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention), close: async () => void done.push('driver') }
    const listener = (name: string) => async () => {
      done.push(`${name} ${await codeOf(channel.publish(name))}`)
    }
    hooks.hook('close', listener('before'))
    nitro.useDriver(driver)
    const close = nitro.closeWithHook(hooks)
    const context = nitro.useSSEContext()
    const channel = new Channel(context, 'c')
    hooks.hook('close', listener('after'))
    context.track(new Promise(resolve => setTimeout(resolve, 30)).then(() => void done.push('clean-up')))
    hooks.hook('close', async () => {
      // Still in flight when the last listener has settled.
      void channel.publish('last').then(() => done.push('last'))
    })
    await Promise.all([close(), close()])
    expect(done).toEqual(['clean-up', 'before kept', 'after kept', 'last', 'driver'])
    expect(await codeOf(channel.publish('late'))).toBe('SHUTTING_DOWN')
    expect(await codeOf(channel.read())).toBe('SHUTTING_DOWN')
  })

  it('closes the driver after a listener that fails', async () => {
    const hooks = createHooks()
    vi.spyOn(console, 'error').mockImplementation(() => {})
    let closed = 0
    nitro.useDriver({ ...createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention), close: async () => void closed++ })
    const close = nitro.closeWithHook(hooks)
    hooks.hook('close', () => {
      throw new Error('of the application')
    })
    await close()
    expect(closed).toBe(1)
    expect(vi.mocked(console.error).mock.calls).toEqual([[expect.objectContaining({ message: 'of the application' })]])
  })

  it('leaves other hooks alone', async () => {
    const hooks = createHooks()
    nitro.startSSEContext()
    nitro.closeWithHook(hooks)
    const heard: unknown[] = []
    hooks.hook('request', (...args: unknown[]) => void heard.push(args))
    await hooks.callHook('request', 1, 2)
    expect(heard).toEqual([[1, 2]])
    expect(nitro.useSSEContext().closing.aborted).toBe(false)
  })
})
