import type { ResolvedHandlerOptions, SSEHandlerOptions } from './runtime/server/options'
import { invalidOption } from './runtime/shared/errors'
import { resolveHandlerOptions } from './runtime/server/options'

export interface RedisOptions {
  /** `redis://` or `rediss://`, with user, password and database. At run time `NUXT_SSE_REDIS_URL`. */
  url?: string
  /** Before every key. @default 'sse:' */
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
}

export interface ResolvedModuleOptions {
  /** Empty: what the url says, which may come at run time. */
  driver: 'memory' | 'redis' | ''
  redis: Required<RedisOptions>
  handler: ResolvedHandlerOptions
}

const DRIVERS = ['memory', 'redis']
const DEFAULT_REDIS_OPTIONS: Required<RedisOptions> = { url: '', keyPrefix: 'sse:', timeoutMs: 2_000 }

/** Resolves what the user wrote into something complete. Throws `INVALID_OPTION`, saying what was expected. */
export function resolveOptions({ driver, redis, ...handler }: ModuleOptions = {}): ResolvedModuleOptions {
  if (driver !== undefined && !DRIVERS.includes(driver)) throw invalidOption('sse.driver', DRIVERS.map(name => `\`${JSON.stringify(name)}\``).join(' or '), driver)
  return { driver: driver ?? '', redis: { ...DEFAULT_REDIS_OPTIONS, ...redis }, handler: resolveHandlerOptions(handler) }
}
