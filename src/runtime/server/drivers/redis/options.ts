import { invalidOption } from '../../../shared/errors'
import { MAX_TIMER_MS } from '../../../shared/timers'
import type { RedisConnectOptions } from './connection/connect'

/** `sse.redis`, complete: where Redis is, and how it is used. */
export interface ResolvedRedisOptions extends Required<RedisConnectOptions> {
  keyPrefix: string
  timeoutMs: number
}

export const DEFAULT_REDIS_OPTIONS: ResolvedRedisOptions = { url: '', cluster: false, sentinel: '', sentinelPassword: '', keyPrefix: 'sse:', timeoutMs: 2_000 }

type Rule = [test: (value: unknown) => boolean, expected: string]

const string: Rule = [value => typeof value === 'string', 'a string']
const flag: Rule = [value => typeof value === 'boolean', '`true` or `false`']

export const REDIS_RULES: Record<keyof ResolvedRedisOptions, Rule> = {
  url: string,
  cluster: flag,
  sentinel: string,
  sentinelPassword: string,
  keyPrefix: string,
  timeoutMs: [value => Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_TIMER_MS, `a whole number of milliseconds from 1 to ${MAX_TIMER_MS}`],
}

/**
 * What the environment has laid over the module's options, as texts that look like a number or `true` have become one. Throws
 * `INVALID_OPTION` when the server starts: a time that is none would end the process with its first connection.
 */
export function resolveRedisOptions(options: object = {}): ResolvedRedisOptions {
  const resolved: Record<string, unknown> = { ...DEFAULT_REDIS_OPTIONS, ...options }
  for (const [name, rule] of Object.entries(REDIS_RULES)) {
    const value = fromEnvironment(resolved[name], rule)
    // Not the value: one of them is a password.
    if (!rule[0](value)) throw invalidOption(`sse.redis.${name}`, rule[1], name === 'sentinelPassword' ? typeof value : value)
    resolved[name] = value
  }
  return resolved as unknown as ResolvedRedisOptions
}

function fromEnvironment(value: unknown, rule: Rule): unknown {
  if (rule === string) return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
  if (rule === flag && (value === 1 || value === 0 || value === '')) return Boolean(value)
  return value
}
