import { invalidOption } from '../shared/errors'
import type { SSETransport } from '../shared/types'
import type { SSEClientOptions } from './types'

export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000
export const DEFAULT_MIN_DELAY_MS = 500
export const DEFAULT_MAX_DELAY_MS = 20_000
const DEFAULT_TRANSPORTS: SSETransport[] = ['stream', 'poll']

/** The client's options with nothing left open but what the user may leave out of a request. */
export interface ResolvedClientOptions extends SSEClientOptions {
  method: string
  transports: SSETransport[]
  reconnect: { minDelayMs: number, maxDelayMs: number, maxAttempts: number }
  connectTimeoutMs: number
}

/** Throws `INVALID_OPTION` for what makes no sense. */
export function resolveClientOptions(options: SSEClientOptions = {}): ResolvedClientOptions {
  const { minDelayMs = DEFAULT_MIN_DELAY_MS, maxDelayMs = DEFAULT_MAX_DELAY_MS, maxAttempts = Infinity } = options.reconnect ?? {}
  const { method = 'GET', transports = DEFAULT_TRANSPORTS, connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS, silenceTimeoutMs } = options
  const check = (name: string, value: unknown, least: number) => {
    if (typeof value !== 'number' || !(value >= least)) throw invalidOption(name, `a number of at least ${least}`, value)
  }
  check('reconnect.minDelayMs', minDelayMs, 0)
  check('reconnect.maxDelayMs', maxDelayMs, 0)
  check('reconnect.maxAttempts', maxAttempts, 1)
  check('connectTimeoutMs', connectTimeoutMs, 1)
  if (silenceTimeoutMs !== undefined && silenceTimeoutMs !== false) check('silenceTimeoutMs', silenceTimeoutMs, 1)
  if (!transports.length || transports.some(name => name !== 'stream' && name !== 'poll')) throw invalidOption('transports', '`stream`, `poll`, or both', transports)
  const resolved = { ...options, method: method.toUpperCase(), transports, connectTimeoutMs, reconnect: { minDelayMs, maxDelayMs, maxAttempts } }
  if (options.body !== undefined && resolved.method === 'GET') throw invalidOption('method', 'one that may have a body', resolved.method)
  return resolved
}
