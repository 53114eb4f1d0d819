import { useRuntimeConfig } from '#sse/nitro'
import { createRedisDriver, loadIoredis, redisConnector } from '#sse/redis'
import { SSEError, invalidOption } from '../shared/errors'
import type { SSEContext } from './context'
import { createSSEContext } from './context'
import { createMemoryDriver } from './drivers/memory'
import type { CreateRedisClient } from './drivers/redis-client'
import type { RedisConnectOptions } from './drivers/redis-connect'
import type { LogDriver } from './drivers/types'
import { platformLimits, withinLimits } from './limits'
import type { ResolvedHandlerOptions, SSEHandlerOptions } from './options'
import { resolveModuleHandlerOptions } from './options'

/** As the module resolved it, with the environment (`NUXT_SSE_HEARTBEAT_MS`, `NUXT_SSE_REDIS_URL`) laid over it. */
interface RuntimeOptions extends SSEHandlerOptions {
  driver?: string
  redis?: RedisConnectOptions & { keyPrefix: string, timeoutMs: number }
}

let context: SSEContext | undefined
let createClient: CreateRedisClient | undefined
let clientsMade = false

/** The context of this process, made when first asked for: another plugin may publish before ours has run. */
export function useSSEContext(): SSEContext {
  return context ??= createContext()
}

/** Has the redis driver make its clients with `factory`. Throws `INVALID_OPTION` when it is too late, or of no use. */
export function useRedisClientFactory(factory: CreateRedisClient): void {
  const { driver } = useSSEContext()
  if (driver.name !== 'redis') throw invalidOption('sse.driver', '`"redis"` where an application makes the clients', driver.name)
  if (clientsMade) throw new SSEError('INVALID_OPTION', '[nuxt-sse] [redis] Expected the client factory before the first channel is used: set it in a server plugin.')
  createClient = factory
}

/** Has the application's hooks called. Nothing listens to an application that is not there yet: called by our plugin. */
export function connectHooks(hooks: object): void {
  const { callHook, callHookWith } = hooks as NitroHooks
  useSSEContext().insight.hooks = {
    // The public way to learn it: what is called with the listeners only counts them. Nitro 3's hooks may not have it.
    isHeard: name => !callHookWith || callHookWith.call(hooks, isSome, name, []),
    call: (name, payload) => callHook.call(hooks, name, payload),
  }
}

/** What both versions of Nitro have in common here. */
interface NitroHooks {
  callHook(name: string, payload: unknown): unknown
  callHookWith?(caller: typeof isSome, name: string, args: unknown[]): boolean
}

function isSome(listeners: unknown[]): boolean {
  return listeners.length > 0
}

/** Ends all streams, and leaves the rest at work: requests under way may still publish. */
export function leaveSSEContext(): void {
  context?.leave()
}

/** Ends what {@link useSSEContext} began, if anything did. */
export async function closeSSEContext(): Promise<void> {
  await context?.close()
}

function createContext(): SSEContext {
  const { driver, redis, ...handler } = (useRuntimeConfig() as { sse?: RuntimeOptions }).sse ?? {}
  const options = resolveModuleHandlerOptions(handler)
  const limits = platformLimits(import.meta.preset, globalThis.process?.env)
  if (withinLimits(options, limits) !== options) console.info(`[nuxt-sse] ${limits.reason}`)
  return createSSEContext({ options, limits, driver: createDriver(driver, redis, options) })
}

function createDriver(name: string | undefined, redis: RuntimeOptions['redis'], { retention }: ResolvedHandlerOptions): LogDriver {
  // A url alone selects redis.
  switch (name || (redis?.url ? 'redis' : 'memory')) {
    case 'memory': return createMemoryDriver(retention)
    case 'redis': return createRedisDriver({ ...redis, createClient: redisClients(redis ?? {}) }, retention)
    default: throw invalidOption('sse.driver', '`"memory"` or `"redis"`', name)
  }
}

/** What makes no sense is said now, when the server starts; ioredis is loaded when somebody needs it. */
function redisClients(options: RedisConnectOptions): CreateRedisClient {
  const connect = redisConnector(options)
  return async (settings, role) => {
    clientsMade = true
    if (createClient) return createClient(settings, role)
    const ioredis = await loadIoredis().catch((cause) => {
      throw new SSEError('DRIVER_UNAVAILABLE', '[nuxt-sse] [redis] Expected the package `ioredis` to be there: run `npm install ioredis`, and set `sse.driver` to `redis` when you build.', { statusCode: 503, cause })
    })
    return connect(ioredis, settings)
  }
}
