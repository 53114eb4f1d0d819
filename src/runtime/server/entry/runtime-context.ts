import { BUN_IDLE_VARIABLE, useRuntimeConfig } from '#sse/nitro'
import { DEFAULT_REDIS_URL, createRedisDriver, loadIoredis, redisConnector, resolveRedisOptions } from '#sse/redis'
import { SSEError, invalidOption } from '../../shared/errors'
import { fromEnvironment } from '../../shared/rules'
import { outside } from '../lib/async-context'
import type { SSEContext } from '../context/context'
import { createSSEContext } from '../context/context'
import { createMemoryDriver } from '../drivers/memory/memory'
import type { CreateRedisClient } from '../drivers/redis/connection/client'
import type { RedisConnectOptions } from '../drivers/redis/connection/connect'
import type { LogDriver } from '../drivers/types'
import type { HookCaller } from '../insight/hooks'
import type { PlatformLimits } from '../context/platform-limits'
import { platformLimits, withinLimits } from '../context/platform-limits'
import type { ResolvedHandlerOptions, SSEHandlerOptions } from '../options'
import { HANDLER_RULES, resolveModuleHandlerOptions } from '../resolve-options'
import { readTicketSecrets } from '../tickets/ticket-secrets'
import { unknownVariables } from './unknown-variables'

/** As the module resolved it, with the environment (`NUXT_SSE_HEARTBEAT_MS`, `NUXT_SSE_REDIS_URL`) laid over it. */
interface RuntimeOptions extends SSEHandlerOptions {
  driver?: string
  redis?: RedisConnectOptions
  ticketSecret?: unknown
}

const DRIVER_METHODS = ['append', 'finish', 'lease', 'state', 'read', 'subscribe', 'remove', 'close'] as const

let context: SSEContext | undefined
/** Whether anybody but our own plugin has the context: its driver cannot be replaced any more. */
let contextTaken = false
let ownDriver: LogDriver | undefined
let connected: HookCaller | undefined
let tap: SSEContext['tap']
let createClient: CreateRedisClient | undefined
let clientsMade = false
let warned = false

/** The context of this process, made when first asked for: another plugin may publish before ours has run. */
export function useSSEContext(): SSEContext {
  contextTaken = true
  return startSSEContext()
}

/** The same for our own plugin, which runs before the application's: those may still choose the driver. */
export function startSSEContext(): SSEContext {
  // Another plugin, or a request, may be the first.
  return context ??= outside(createContext)
}

/** Makes `driver` keep the channels, whatever the options say. Throws `INVALID_OPTION` when it is too late, or `driver` is none. */
export function useDriver(driver: LogDriver): void {
  const missing = DRIVER_METHODS.find(method => typeof (driver as LogDriver | undefined)?.[method] !== 'function')
  if (missing) throw invalidOption('driver', `a \`LogDriver\`: it has no \`${missing}\``, driver)
  if (contextTaken) throw new SSEError('INVALID_OPTION', 'Expected the driver before the first channel is used: set it in a server plugin.')
  // Nobody has used it yet.
  void context?.close()
  ownDriver = driver
  context = createContext()
}

/** Makes the redis driver create its clients with `factory`. Throws `INVALID_OPTION` when it is too late, or the driver is another one. */
export function useRedisClientFactory(factory: CreateRedisClient): void {
  const { driver } = startSSEContext()
  if (driver.name !== 'redis') throw invalidOption('sse.driver', '`"redis"` where an application makes the clients', driver.name)
  if (clientsMade) throw new SSEError('INVALID_OPTION', 'Expected the client factory before the first channel is used: set it in a server plugin.')
  createClient = factory
}

/** Calls the application's hooks from now on. For our plugin: before the application is there, nothing can listen. */
export function connectHooks(hooks: object): void {
  const { callHook, callHookWith } = hooks as NitroHooks
  startSSEContext().insight.hooks = connected = {
    // The public way to count listeners: `callHookWith` hands them to a function. Nitro 3's hooks may not have it.
    isHeard: name => !callHookWith || callHookWith.call(hooks, isSome, name, []),
    call: (name, payload) => callHook.call(hooks, name, payload),
  }
}

/** Makes each connection from now on write through `tapped`. For Nuxt DevTools. */
export function tapConnections(tapped: SSEContext['tap']): void {
  startSSEContext().tap = tap = tapped
}

/** What the hooks of both versions of Nitro have in common. */
interface NitroHooks {
  callHook(name: string, ...args: unknown[]): unknown
  callHookWith?(caller: typeof isSome, name: string, args: unknown[]): boolean
}

function isSome(listeners: unknown[]): boolean {
  return listeners.length > 0
}

/** What signs tickets (the first), and verifies them (all). */
export function ticketSecrets(): string[] {
  return readTicketSecrets(runtimeOptions().ticketSecret)
}

/** Ends all streams, and leaves the rest at work: requests under way may still publish. Resolves when what it has set off is through. */
export async function leaveSSEContext(): Promise<void> {
  await context?.leave()
}

/**
 * Has the hook `close` end all streams first, then run the application's own listeners, which may still publish, and close the driver last;
 * whoever calls it, and whenever they were added. Listeners run in the order in which they were added, and ours is the first, so that one of
 * them could not wait for the others: the call itself is wrapped. Returns a function that calls the hook, once however often it is called.
 */
export function closeWithHook(hooks: object): () => Promise<void> {
  const hooked = hooks as NitroHooks
  const { callHook } = hooked
  hooked.callHook = function (name, ...args) {
    return name === 'close' ? closeAround(() => callHook.call(hooks, name, ...args)) : callHook.call(hooks, name, ...args)
  }
  let called: Promise<void> | undefined
  // A listener that fails is the application's, as where Nitro calls them.
  return () => called ??= Promise.resolve(hooked.callHook('close')).then(() => {}, error => console.error(error))
}

async function closeAround(listeners: () => unknown): Promise<void> {
  await leaveSSEContext()
  try {
    await listeners()
  }
  finally {
    await context?.close()
  }
}

function runtimeOptions(): RuntimeOptions {
  return (useRuntimeConfig() as { sse?: RuntimeOptions }).sse ?? {}
}

function createContext(): SSEContext {
  const { driver, redis, ticketSecret, ...handler } = runtimeOptions()
  readTicketSecrets(ticketSecret)
  const options = resolveModuleHandlerOptions(fromEnvironment(handler, HANDLER_RULES))
  const limits = platformLimits(import.meta.preset, globalThis.process?.env, BUN_IDLE_VARIABLE)
  // Once: `setSSEDriver` has the context made again.
  if (!warned) warn(options, limits)
  warned = true
  const created = createSSEContext({ options, limits, driver: ownDriver ?? createDriver(driver, redis, options) })
  created.insight.hooks = connected
  created.tap = tap
  return created
}

function warn(options: ResolvedHandlerOptions, limits: PlatformLimits): void {
  const variables = unknownVariables(globalThis.process?.env ?? {}, runtimeOptions())
  if (variables.length) console.warn(`[nuxt-sse] There is no option for ${variables.join(', ')}: it has no effect.`)
  if (withinLimits(options, limits) !== options) console.info(`[nuxt-sse] ${limits.reason}`)
}

function createDriver(name: string | undefined, redis: RuntimeOptions['redis'], { retention }: ResolvedHandlerOptions): LogDriver {
  // A url alone selects redis.
  switch (name || (redis?.url ? 'redis' : 'memory')) {
    case 'memory': return createMemoryDriver(retention)
    case 'redis': {
      const resolved = resolveRedisOptions(redis)
      return createRedisDriver({ ...resolved, createClient: redisClients(resolved) }, retention)
    }
    default: throw invalidOption('sse.driver', '`"memory"` or `"redis"`', name)
  }
}

/** Throws now, when the server starts, for options that make no sense; ioredis is loaded when a client is needed. */
function redisClients(options: RedisConnectOptions): CreateRedisClient {
  const connect = redisConnector(options)
  // That there is no client, too, and not by the first who publishes. By then all plugins have said whether they make clients themselves.
  setTimeout(() => {
    if (!createClient && !ownDriver) loadClient().catch(({ message }: Error) => console.error(`[nuxt-sse] ${message}`))
  })
  return async (settings, role) => {
    clientsMade = true
    if (createClient) return createClient(settings, role)
    if (!options.url && role === 'commands') console.warn(`[nuxt-sse] [redis] Nothing says where Redis is: trying ${DEFAULT_REDIS_URL}. Set \`sse.redis.url\`, or NUXT_SSE_REDIS_URL.`)
    return connect(await loadClient(), settings)
  }
}

async function loadClient(): ReturnType<typeof loadIoredis> {
  return loadIoredis().catch((cause) => {
    throw new SSEError('DRIVER_UNAVAILABLE', 'Expected the package `ioredis` to be there: run `npm install ioredis`, and set `sse.driver` to `redis` when you build.', { statusCode: 503, cause })
  })
}
