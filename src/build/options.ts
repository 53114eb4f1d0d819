import type { ResolvedHandlerOptions, SSEHandlerOptions } from '../runtime/server/options'
import { assertNames, check, flag, object, oneOf, orFalse, overlay } from '../runtime/shared/rules'
import type { Rules } from '../runtime/shared/rules'
import { redisConnector } from '../runtime/server/drivers/redis/connection/connect'
import { DEFAULT_REDIS_OPTIONS, REDIS_RULES } from '../runtime/server/drivers/redis/options'
import { HANDLER_RULES, resolveModuleHandlerOptions } from '../runtime/server/resolve-options'
import { readTicketSecrets } from '../runtime/server/tickets/ticket-secrets'

export interface RedisOptions {
  /**
   * `redis://` or `rediss://`, with user, password and database. Several, separated by commas, for a cluster or for
   * Sentinels. At run time `NUXT_SSE_REDIS_URL`.
   * @default '', and with `driver: 'redis'` `redis://127.0.0.1:6379`
   */
  url?: string
  /** `url` names nodes of a Redis Cluster (7 or newer). At run time `NUXT_SSE_REDIS_CLUSTER`. @default false */
  cluster?: boolean
  /** `url` names Sentinels, and this is what they call the primary. At run time `NUXT_SSE_REDIS_SENTINEL`. @default '' */
  sentinel?: string
  /** The password of the Sentinels themselves. At run time `NUXT_SSE_REDIS_SENTINEL_PASSWORD`. @default '' */
  sentinelPassword?: string
  /** What every key begins with; braces are not allowed. @default 'sse:' */
  keyPrefix?: string
  /** How long an operation may take until it rejects with `DRIVER_UNAVAILABLE`, in milliseconds. @default 2000 */
  timeoutMs?: number
}

/** `sse` in `nuxt.config`: the defaults of every handler, and what keeps channels. */
export interface ModuleOptions extends SSEHandlerOptions {
  /**
   * What keeps channels. `memory` lives and dies with one process; `redis` is shared by all, and needs the package
   * `ioredis`. At run time `NUXT_SSE_DRIVER`.
   * @default 'memory', or 'redis' where there is a `redis.url`
   */
  driver?: 'memory' | 'redis'
  redis?: RedisOptions
  /**
   * Whether there is a route `GET /__sse/probe`, below `app.baseURL`: a stream of a few bytes that ends after 5 seconds, by which a
   * client whose stream stays silent finds out whether its network holds streams back. Without it the client cannot tell, and waits.
   * @default true
   */
  probe?: boolean
  /**
   * The secret that `createSSETicket` signs with, at least 32 characters. Several, as a list or separated by commas: the first signs,
   * all verify. A secret written here ends up in the build; better set `NUXT_SSE_TICKET_SECRET` at run time.
   * @default none; in development, a random one
   */
  ticketSecret?: string | string[]
}

export interface ResolvedModuleOptions {
  /** Empty: redis if there is a url, which may come at run time. */
  driver: 'memory' | 'redis' | ''
  redis: Required<RedisOptions>
  handler: ResolvedHandlerOptions
  probe: boolean
  ticketSecret: string[]
}

/** The options that are the module's alone. `ticketSecret` has checks of its own, which print no secret. */
const MODULE_RULES: Rules<Pick<ResolvedModuleOptions, 'driver' | 'redis' | 'probe'>> = {
  driver: oneOf('memory', 'redis'),
  redis: object(),
  probe: flag,
}
const ALL_NAMES = { ...MODULE_RULES, ticketSecret: undefined, ...HANDLER_RULES }

/** Resolves the user's options into complete ones. Throws `INVALID_OPTION`, saying what was expected. */
export function resolveOptions(options: ModuleOptions = {}): ResolvedModuleOptions {
  assertNames(options, ALL_NAMES, 'sse')
  const { driver, redis, probe, ticketSecret, ...handler } = options
  const own = overlay({ driver, redis, probe }, { driver: '' as const, redis: {}, probe: true }, MODULE_RULES, 'sse')
  const redisOptions = overlay(own.redis, DEFAULT_REDIS_OPTIONS, REDIS_RULES, 'sse.redis')
  // Checked now, although another url may come at run time.
  redisConnector(redisOptions)
  return { ...own, redis: redisOptions, handler: resolveModuleHandlerOptions(handler), ticketSecret: readTicketSecrets(ticketSecret) }
}

/** Throws `INVALID_OPTION` unless `sse` in `nuxt.config` is an object, `false` or absent. */
export function assertOptions(options: unknown = {}): void {
  check('sse', options, orFalse(object()))
}
