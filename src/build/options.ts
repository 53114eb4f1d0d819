import type { ResolvedHandlerOptions, SSEHandlerOptions } from '../runtime/server/options'
import { assertNames, check, flag, object, oneOf, orFalse, overlay } from '../runtime/shared/rules'
import type { Rules } from '../runtime/shared/rules'
import { redisConnector } from '../runtime/server/drivers/redis/connection/connect'
import { DEFAULT_REDIS_OPTIONS, REDIS_RULES } from '../runtime/server/drivers/redis/options'
import { HANDLER_RULES, resolveModuleHandlerOptions } from '../runtime/server/resolve-options'
import { readTicketSecrets } from '../runtime/server/tickets/ticket-secrets'

export interface RedisOptions {
  /**
   * URL of Redis: `redis://` or `rediss://`, with user, password and database. Several, separated by commas, for a cluster or for
   * Sentinels. At run time `NUXT_SSE_REDIS_URL`.
   * @default '', and with `driver: 'redis'` `redis://127.0.0.1:6379`
   */
  url?: string
  /** Whether `url` names nodes of a Redis Cluster (7 or newer). At run time `NUXT_SSE_REDIS_CLUSTER`. @default false */
  cluster?: boolean
  /** Name of the primary if `url` names Sentinels. At run time `NUXT_SSE_REDIS_SENTINEL`. @default '' */
  sentinel?: string
  /** Password of the Sentinels themselves. At run time `NUXT_SSE_REDIS_SENTINEL_PASSWORD`. @default '' */
  sentinelPassword?: string
  /** Prefix of every key; braces are not allowed. @default 'sse:' */
  keyPrefix?: string
  /** Timeout of an operation, in milliseconds. Beyond it, the operation rejects with `DRIVER_UNAVAILABLE`. @default 2000 */
  timeoutMs?: number
}

/** Module options, `sse` in `nuxt.config`: the defaults of every handler, and the driver of channels. */
export interface ModuleOptions extends SSEHandlerOptions {
  /**
   * Driver that keeps channels. `memory` keeps them in one process, for as long as it runs; `redis` shares them between all processes, and
   * needs the package `ioredis`. At run time `NUXT_SSE_DRIVER`.
   * @default 'memory', or 'redis' where there is a `redis.url`
   */
  driver?: 'memory' | 'redis'
  redis?: RedisOptions
  /**
   * Whether to add the route `GET /__sse/probe`, below `app.baseURL`: a stream of a few bytes that ends after 5 seconds. A client whose
   * stream stays silent requests it to detect whether its network holds streams back. Without the route the client cannot detect that, and
   * waits.
   * @default true
   */
  probe?: boolean
  /**
   * Secret that `createSSETicket` signs with, at least 32 characters. Several, as a list or separated by commas: the first signs, all
   * verify. A secret written here ends up in the build; prefer `NUXT_SSE_TICKET_SECRET` at run time.
   * @default none; in development, a random one
   */
  ticketSecret?: string | string[]
}

export interface ResolvedModuleOptions {
  /** Empty: Redis if there is a URL, which may be set at run time. */
  driver: 'memory' | 'redis' | ''
  redis: Required<RedisOptions>
  handler: ResolvedHandlerOptions
  probe: boolean
  ticketSecret: string[]
}

/** Rules of options that only the module has. `ticketSecret` has checks of its own, which print no secret. */
const MODULE_RULES: Rules<Pick<ResolvedModuleOptions, 'driver' | 'redis' | 'probe'>> = {
  driver: oneOf('memory', 'redis'),
  redis: object(),
  probe: flag,
}
const ALL_NAMES = { ...MODULE_RULES, ticketSecret: undefined, ...HANDLER_RULES }

/** Resolves the user's options into complete ones. Throws `INVALID_OPTION`, with the expected value. */
export function resolveOptions(options: ModuleOptions = {}): ResolvedModuleOptions {
  assertNames(options, ALL_NAMES, 'sse')
  const { driver, redis, probe, ticketSecret, ...handler } = options
  const own = overlay({ driver, redis, probe }, { driver: '' as const, redis: {}, probe: true }, MODULE_RULES, 'sse')
  const redisOptions = overlay(own.redis, DEFAULT_REDIS_OPTIONS, REDIS_RULES, 'sse.redis')
  // Checked at build time, although another URL may be set at run time.
  redisConnector(redisOptions)
  return { ...own, redis: redisOptions, handler: resolveModuleHandlerOptions(handler), ticketSecret: readTicketSecrets(ticketSecret) }
}

/** Throws `INVALID_OPTION` unless `sse` in `nuxt.config` is an object, `false` or absent. */
export function assertOptions(options: unknown = {}): void {
  check('sse', options, orFalse(object()))
}
