import { invalidOption } from '../shared/errors'
import type { SSETransport } from '../shared/types'
import { retryableError } from './response'
import type { Fallback, ResolvedClientOptions } from './host'
import type { SSEClientOptions, SSEShare } from './types'

export type { ResolvedClientOptions } from './host'

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000
/** Timeout with a body, longer because `fetch` does not report when the upload is complete. */
const DEFAULT_UPLOAD_TIMEOUT_MS = 60_000
const DEFAULT_MIN_DELAY_MS = 500
/** Delay of browsers before they reconnect an `EventSource` whose server sent no `retry`. */
const DEFAULT_FOREIGN_DELAY_MS = 3_000
const DEFAULT_MAX_DELAY_MS = 20_000
const DEFAULT_TRANSPORTS: SSETransport[] = ['stream', 'poll']
const SHARES: SSEShare[] = ['component', 'page', 'browser']

/** Client options with all defaults. Throws `INVALID_OPTION` for an invalid value. */
export function resolveClientOptions(options: SSEClientOptions & { share?: SSEShare }, loadFallback: () => Promise<Fallback>, base = '/'): ResolvedClientOptions {
  const { minDelayMs = DEFAULT_MIN_DELAY_MS, maxDelayMs = DEFAULT_MAX_DELAY_MS, maxAttempts = Infinity } = options.reconnect ?? {}
  const resolved = {
    ...options,
    base,
    loadFallback: () => loadFallback().catch((cause) => {
      throw retryableError('NETWORK', 'Part of the client failed to load', cause)
    }),
    method: (options.method || (options.body === undefined ? 'GET' : 'POST')).toUpperCase(),
    transports: options.transports ?? DEFAULT_TRANSPORTS,
    connectTimeoutMs: options.connectTimeoutMs ?? (options.body === undefined ? DEFAULT_CONNECT_TIMEOUT_MS : DEFAULT_UPLOAD_TIMEOUT_MS),
    reconnect: { minDelayMs, maxDelayMs, maxAttempts, foreignDelayMs: options.reconnect?.minDelayMs ?? DEFAULT_FOREIGN_DELAY_MS },
  }
  const { method, transports, connectTimeoutMs, silenceTimeoutMs, reconnect } = resolved
  for (const [name, value] of Object.entries({ connectTimeoutMs, silenceTimeoutMs: silenceTimeoutMs ?? false, ...reconnect })) {
    if (value === false && name === 'silenceTimeoutMs') continue
    // A delay of 0 is valid. A limit of 0 would end every attempt as it begins.
    const least = name.endsWith('DelayMs') ? 0 : 1
    if (!(typeof value === 'number' && value >= least)) throw invalidOption(name, `a number of at least ${least}`, value)
  }
  if (!transports.length || transports.some(name => !DEFAULT_TRANSPORTS.includes(name))) throw invalidOption('transports', '`stream`, `poll`, or both', transports)
  if (options.share && !SHARES.includes(options.share)) throw invalidOption('share', '`component`, `page` or `browser`', options.share)
  const { parse, fetch, channel } = options
  if (channel !== undefined && !/^[a-z]\w*$/i.test(channel)) throw invalidOption('channel', 'a key of the route', channel)
  if (fetch && typeof fetch !== 'function') throw invalidOption('fetch', 'a function', fetch)
  if (parse && typeof parse !== 'function' && parse !== 'json' && parse !== 'text') throw invalidOption('parse', '`json`, `text` or a function', parse)
  if (options.body !== undefined && method === 'GET') throw invalidOption('method', 'one with a body', method)
  return resolved
}
