import { flag, fromEnvironment, milliseconds, overlay, secretText, text } from '../../../shared/rules'
import type { Rules } from '../../../shared/rules'
import type { RedisConnectOptions } from './connection/connect'

/** `sse.redis`, complete: where Redis is, and how it is used. */
export interface ResolvedRedisOptions extends Required<RedisConnectOptions> {
  keyPrefix: string
  timeoutMs: number
}

export const DEFAULT_REDIS_OPTIONS: ResolvedRedisOptions = { url: '', cluster: false, sentinel: '', sentinelPassword: '', keyPrefix: 'sse:', timeoutMs: 2_000 }

export const REDIS_RULES: Rules<ResolvedRedisOptions> = {
  url: text,
  cluster: flag,
  sentinel: text,
  sentinelPassword: secretText,
  keyPrefix: text,
  timeoutMs: milliseconds(),
}

/**
 * The module's options with the environment laid over them. Throws `INVALID_OPTION` when the server starts: without this, a time that is
 * none would end the process with its first connection.
 */
export function resolveRedisOptions(options: object = {}): ResolvedRedisOptions {
  // Other names are another version's, or the application's own; the server has warned of variables that are no option.
  const known = Object.entries(options).filter(([name]) => Object.hasOwn(REDIS_RULES, name))
  return overlay(fromEnvironment(Object.fromEntries(known), REDIS_RULES), DEFAULT_REDIS_OPTIONS, REDIS_RULES, 'sse.redis')
}
