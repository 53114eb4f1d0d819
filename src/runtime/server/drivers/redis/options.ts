import { flag, fromEnvironment, milliseconds, overlay, secretText, text } from '../../../shared/rules'
import type { Rules } from '../../../shared/rules'
import type { RedisConnectOptions } from './connection/connect'

/** Complete options of `sse.redis`: the address of Redis, and how it is used. */
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
 * Resolves the module's options, overlaid with the environment. Throws `INVALID_OPTION` when the server starts: otherwise an invalid
 * duration would end the process with its first connection.
 */
export function resolveRedisOptions(options: object = {}): ResolvedRedisOptions {
  // Ignores other names: another version's, or the application's own. The server has already warned of environment variables that are no
  // option.
  const known = Object.entries(options).filter(([name]) => Object.hasOwn(REDIS_RULES, name))
  return overlay(fromEnvironment(Object.fromEntries(known), REDIS_RULES), DEFAULT_REDIS_OPTIONS, REDIS_RULES, 'sse.redis')
}
