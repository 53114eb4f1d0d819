import type { ResolvedHandlerOptions, SSEHandlerOptions } from './runtime/server/options'
import { invalidOption } from './runtime/shared/errors'
import { redisConnector } from './runtime/server/drivers/redis-connect'
import { DEFAULT_REDIS_OPTIONS, REDIS_RULES } from './runtime/server/drivers/redis-options'
import { DEFAULT_HANDLER_OPTIONS, resolveModuleHandlerOptions } from './runtime/server/options'
import { readTicketSecrets } from './runtime/server/ticket-secrets'

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

const DRIVERS = ['memory', 'redis']

type Rule = [test: (value: unknown) => boolean, expected: string]

const flag: Rule = [value => typeof value === 'boolean', '`true` or `false`']
/** Options that are checked elsewhere. */
const OWN_NAMES = ['driver', 'redis', 'probe', 'ticketSecret', 'clientKey', 'revalidate']

/** Resolves the user's options into complete ones. Throws `INVALID_OPTION`, saying what was expected. */
export function resolveOptions(options: ModuleOptions = {}): ResolvedModuleOptions {
  assertNames('sse', options, [...OWN_NAMES, ...Object.keys(DEFAULT_HANDLER_OPTIONS)])
  const { driver, redis = {}, probe = true, ticketSecret, ...handler } = options
  if (driver !== undefined && !DRIVERS.includes(driver)) throw invalidOption('sse.driver', DRIVERS.map(name => `\`${JSON.stringify(name)}\``).join(' or '), driver)
  if (!flag[0](probe)) throw invalidOption('sse.probe', flag[1], probe)
  assertRules('sse.redis', redis, REDIS_RULES)
  const redisOptions = { ...DEFAULT_REDIS_OPTIONS, ...redis }
  // Checked now, although another url may come at run time.
  redisConnector(redisOptions)
  return { driver: driver ?? '', redis: redisOptions, handler: resolveModuleHandlerOptions(handler), probe, ticketSecret: readTicketSecrets(ticketSecret) }
}

/** Throws `INVALID_OPTION` unless `sse` in `nuxt.config` is an object, `false` or absent. */
export function assertOptions(options: unknown = {}): void {
  if (options === false) return
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw invalidOption('sse', 'an object, or `false`', options)
}

function assertRules(path: string, options: object, rules: Record<string, Rule>): void {
  assertNames(path, options, Object.keys(rules))
  for (const [name, value] of Object.entries(options)) {
    const [test, expected] = rules[name]!
    if (value !== undefined && !test(value)) throw invalidOption(`${path}.${name}`, expected, value)
  }
}

/** A misspelt option would have no effect, and nobody would know why. */
function assertNames(path: string, options: unknown, names: string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw invalidOption(path, 'an object', options)
  const unknown = Object.keys(options).find(name => !names.includes(name))
  if (unknown !== undefined) throw invalidOption(`${path}.${unknown}`, `one of ${names.map(name => `\`${name}\``).join(', ')}: there is no such option`, (options as Record<string, unknown>)[unknown])
}
