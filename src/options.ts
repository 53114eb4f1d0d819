import type { ResolvedHandlerOptions, SSEHandlerOptions } from './runtime/server/options'
import { invalidOption } from './runtime/shared/errors'
import { redisConnector } from './runtime/server/drivers/redis-connect'
import { resolveModuleHandlerOptions } from './runtime/server/options'
import { readTicketSecrets } from './runtime/server/ticket-secrets'

export interface RedisOptions {
  /**
   * `redis://` or `rediss://`, with user, password and database. Several, separated by commas, for a cluster or for
   * Sentinels. At run time `NUXT_SSE_REDIS_URL`.
   */
  url?: string
  /** `url` names nodes of a Redis Cluster (7 or newer). At run time `NUXT_SSE_REDIS_CLUSTER`. @default false */
  cluster?: boolean
  /** `url` names Sentinels, and this is what they call the primary. At run time `NUXT_SSE_REDIS_SENTINEL`. @default '' */
  sentinel?: string
  /** What the Sentinels themselves ask for. At run time `NUXT_SSE_REDIS_SENTINEL_PASSWORD`. @default '' */
  sentinelPassword?: string
  /** Before every key. @default 'sse:' */
  keyPrefix?: string
  /** How long an operation may take until it rejects with `DRIVER_UNAVAILABLE`, in milliseconds. @default 2000 */
  timeoutMs?: number
}

export interface ClientOptions {
  /**
   * Whether builds for browsers have what the option `share` of `useSSE` needs. In development it is always there.
   * @default whether a source file of the application has the word `share`; say `true` if only a package uses it
   */
  share?: boolean
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
  client?: ClientOptions
  /**
   * What `createSSETicket` signs with: at least 32 characters. A list, or several separated by commas: the first signs, all verify. What
   * is said here is in the build; at run time, and better, `NUXT_SSE_TICKET_SECRET`.
   * @default none, and in development one of its own
   */
  ticketSecret?: string | string[]
}

export interface ResolvedModuleOptions {
  /** Empty: what the url says, which may come at run time. */
  driver: 'memory' | 'redis' | ''
  redis: Required<RedisOptions>
  handler: ResolvedHandlerOptions
  client: ClientOptions
  ticketSecret: string[]
}

const DRIVERS = ['memory', 'redis']
const DEFAULT_REDIS_OPTIONS: Required<RedisOptions> = { url: '', cluster: false, sentinel: '', sentinelPassword: '', keyPrefix: 'sse:', timeoutMs: 2_000 }

/** Resolves what the user wrote into something complete. Throws `INVALID_OPTION`, saying what was expected. */
export function resolveOptions({ driver, redis, client = {}, ticketSecret, ...handler }: ModuleOptions = {}): ResolvedModuleOptions {
  if (driver !== undefined && !DRIVERS.includes(driver)) throw invalidOption('sse.driver', DRIVERS.map(name => `\`${JSON.stringify(name)}\``).join(' or '), driver)
  if (![undefined, true, false].includes(client.share)) throw invalidOption('sse.client.share', '`true` or `false`', client.share)
  const redisOptions = { ...DEFAULT_REDIS_OPTIONS, ...redis }
  // The url may come at run time; what is there now is looked at now.
  redisConnector(redisOptions)
  return { driver: driver ?? '', redis: redisOptions, handler: resolveModuleHandlerOptions(handler), client, ticketSecret: readTicketSecrets(ticketSecret) }
}
