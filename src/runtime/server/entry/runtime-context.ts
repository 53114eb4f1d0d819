import { unknownVariables } from './unknown-variables'
import { BUN_IDLE_VARIABLE, useRuntimeConfig } from '#sse/nitro'
import { SSEError, invalidOption } from '../../shared/errors'
import { fromEnvironment } from '../../shared/rules'
import type { SSEContext } from '../context/context'
import { addChannelHost } from '../channel/channel-host'
import { createSSEContext } from '../context/context'
import type { PlatformLimits } from '../lib/platform/contract'
import { platformLimits, withinLimits } from '../context/platform-limits'
import type { CreateRedisClient } from '../drivers/redis/connection/client'
import { assertDriver } from '../drivers/capabilities'
import type { LogDriver } from '../drivers/types'
import { describeRequest, subjectOf } from '../http/describe-request'
import { makeErrorsKnownToH3 } from '../http/response'
import type { HookCaller } from '../insight/hooks'
import { outside } from '../lib/async-context'
import type { ResolvedHandlerOptions, SSEHandlerOptions } from '../options'
import { HANDLER_RULES, resolveModuleHandlerOptions } from '../resolve-options'
import { readTicketSecrets } from '../tickets/ticket-secrets'
import type { DriverChoices, DriverOptions } from './runtime-driver'
import { createRuntimeDriver } from './runtime-driver'

/** Options as the module resolved them, with the environment (`NUXT_SSE_HEARTBEAT_MS`, `NUXT_SSE_REDIS_URL`) laid over them. */
interface RuntimeOptions extends SSEHandlerOptions, DriverOptions {
  ticketSecret?: unknown
}

/** Choices made by plugins: this package's own, the application's, and the plugin of the DevTools tab. */
interface Choices extends DriverChoices {
  hooks?: HookCaller
  tap?: SSEContext['tap']
}

/** Resolved options, read once, when the server starts. */
interface Settings {
  options: ResolvedHandlerOptions
  limits: PlatformLimits
  /** The driver that the options name. */
  driver: LogDriver
}

/** How the framework names requests. */
const REQUESTS = { describe: describeRequest, subject: subjectOf }

const choices: Choices = {}
// Channels that are defined once for server and workers belong to this process here.
addChannelHost(useSSEContext)
let settings: Settings | undefined
let context: SSEContext | undefined

/** Reads the options, so that an invalid one stops the server at its start. Plugins that run later may still make their choices. */
export function startSSEContext(): void {
  readSettings()
}

/** Context of this process, created from the options and choices at its first use: by a request, or by a plugin that publishes. */
export function useSSEContext(): SSEContext {
  return context ??= outside(createContext)
}

/** Uses `driver` for all channels, regardless of the options. Throws `INVALID_OPTION` when it is too late, or `driver` is not a driver. */
export function useDriver(driver: LogDriver): void {
  assertDriver(driver)
  if (context) throw new SSEError('INVALID_OPTION', 'Expected the driver to be set before a channel is used. Call `setSSEDriver` in a server plugin.')
  choices.driver = driver
}

/** Makes the Redis driver create its clients with `factory`. Throws `INVALID_OPTION` when it is too late, or the driver is not `redis`. */
export function useRedisClientFactory(factory: CreateRedisClient): void {
  const { name } = choices.driver ?? readSettings().driver
  if (name !== 'redis') throw invalidOption('sse.driver', '`"redis"` when `setSSERedisClient` is called', name)
  if (choices.redisClientsMade) throw new SSEError('INVALID_OPTION', 'Expected the client factory to be set before a channel is used. Call `setSSERedisClient` in a server plugin.')
  choices.createRedisClient = factory
}

/** Calls the application's hooks from now on. Called by the package's own plugin: before the application exists, no code can listen. */
export function connectHooks(hooks: object): void {
  const { callHook, callHookWith } = hooks as NitroHooks
  choices.hooks = {
    // Counts listeners through the public API: `callHookWith` passes them to a function. Nitro 3's hooks may not have it.
    isHeard: name => !callHookWith || callHookWith.call(hooks, isSome, name, []),
    call: (name, payload) => callHook.call(hooks, name, payload),
  }
  // A plugin that ran earlier has already created the context.
  if (context) context.insight.hooks = choices.hooks
}

/** Makes each connection from now on write through `tapped`. Used by Nuxt DevTools. */
export function tapConnections(tapped: SSEContext['tap']): void {
  choices.tap = tapped
  if (context) context.tap = tapped
}

/** Hooks API common to both versions of Nitro. */
interface NitroHooks {
  callHook(name: string, ...args: unknown[]): unknown
  callHookWith?(caller: typeof isSome, name: string, args: unknown[]): boolean
}

function isSome(listeners: unknown[]): boolean {
  return listeners.length > 0
}

/** Ticket secrets: the first signs, all verify. */
export function ticketSecrets(): string[] {
  return readTicketSecrets(runtimeOptions().ticketSecret)
}

/**
 * Ends all streams, and refuses later requests, even if no context existed yet. Requests in flight may still publish. Resolves when all
 * clean-ups have finished.
 */
export async function leaveSSEContext(): Promise<void> {
  await useSSEContext().leave()
}

/**
 * Makes the hook `close` end all streams first, then run the application's own listeners, which may still publish, and close the driver
 * last. This holds for every caller of the hook, and for listeners added at any time. Listeners run in the order in which they were added.
 * The package's listener is the first, so it cannot wait for the others: the call itself is wrapped. Returns a function that calls the
 * hook, at most once.
 */
export function closeWithHook(hooks: object): () => Promise<void> {
  const hooked = hooks as NitroHooks
  const { callHook } = hooked
  hooked.callHook = function (name, ...args) {
    return name === 'close' ? closeAround(() => callHook.call(hooks, name, ...args)) : callHook.call(hooks, name, ...args)
  }
  let called: Promise<void> | undefined
  // A failing listener belongs to the application: it is logged, as where Nitro calls the hook.
  return () => called ??= Promise.resolve(hooked.callHook('close')).then(() => {}, error => console.error(error))
}

async function closeAround(listeners: () => unknown): Promise<void> {
  await leaveSSEContext()
  try {
    await listeners()
  }
  finally {
    await useSSEContext().close()
  }
}

function runtimeOptions(): RuntimeOptions {
  return (useRuntimeConfig() as { sse?: RuntimeOptions }).sse ?? {}
}

function readSettings(): Settings {
  return settings ??= outside(() => {
    // An ordinary handler may throw an `SSEError` before it uses anything else of this package.
    makeErrorsKnownToH3()
    const { driver, redis, ticketSecret, ...handler } = runtimeOptions()
    readTicketSecrets(ticketSecret)
    const options = resolveModuleHandlerOptions(fromEnvironment(handler, HANDLER_RULES))
    const limits = platformLimits(import.meta.preset, globalThis.process?.env, BUN_IDLE_VARIABLE)
    warn(options, limits)
    return { options, limits, driver: createRuntimeDriver({ driver, redis }, options.retention, choices) }
  })
}

function warn(options: ResolvedHandlerOptions, limits: PlatformLimits): void {
  const variables = unknownVariables(globalThis.process?.env ?? {}, runtimeOptions())
  if (variables.length) console.warn(`[nuxt-sse] Expected environment variables that match an option, got ${variables.join(', ')}. These variables have no effect.`)
  if (withinLimits(options, limits) !== options) console.info(`[nuxt-sse] ${limits.reason}`)
}

function createContext(): SSEContext {
  const { options, limits, driver } = readSettings()
  const created = createSSEContext({ options, limits, driver: choices.driver ?? driver, describe: REQUESTS })
  created.insight.hooks = choices.hooks
  created.tap = choices.tap
  return created
}
