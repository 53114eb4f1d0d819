import { invalidOption } from '../shared/errors'
import type { SSETransport } from '../shared/types'
import type { ResolvedClientOptions } from './host'
import { importBodies, importFallback, loadPart } from './parts'
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
export function resolveClientOptions(options: SSEClientOptions & { share?: SSEShare }, base = '/', loadFallback = importFallback): ResolvedClientOptions {
  const { body, share, parse, fetch, channel, reconnect, silenceTimeoutMs, transports = DEFAULT_TRANSPORTS } = options
  const hasBody = body !== undefined
  const method = (options.method || (hasBody ? 'POST' : 'GET')).toUpperCase()
  const connectTimeoutMs = options.connectTimeoutMs ?? (hasBody ? DEFAULT_UPLOAD_TIMEOUT_MS : DEFAULT_CONNECT_TIMEOUT_MS)
  const { minDelayMs = DEFAULT_MIN_DELAY_MS, maxDelayMs = DEFAULT_MAX_DELAY_MS, maxAttempts = Infinity } = reconnect ?? {}
  const foreignDelayMs = reconnect?.minDelayMs ?? DEFAULT_FOREIGN_DELAY_MS

  function expect(isValid: unknown, name: string, expected: string, value: unknown): void {
    if (!isValid) throw invalidOption(name, expected, value)
  }

  for (const [name, value] of Object.entries({ connectTimeoutMs, silenceTimeoutMs: silenceTimeoutMs === false ? 1 : silenceTimeoutMs ?? 1, minDelayMs, maxDelayMs, maxAttempts })) {
    // A delay of 0 is valid. A limit of 0 would end every attempt as it begins.
    const least = name.endsWith('DelayMs') ? 0 : 1
    expect(typeof value === 'number' && value >= least, name, `a number of at least ${least}`, value)
  }
  expect(transports.length && transports.every(name => DEFAULT_TRANSPORTS.includes(name)), 'transports', '`stream`, `poll`, or both', transports)
  expect(!share || SHARES.includes(share), 'share', '`component`, `page` or `browser`', share)
  expect(channel === undefined || /^[a-z]\w*$/i.test(channel), 'channel', 'a key of the route', channel)
  expect(!fetch || typeof fetch === 'function', 'fetch', 'a function', fetch)
  expect(!parse || typeof parse === 'function' || parse === 'json' || parse === 'text', 'parse', '`json`, `text` or a function', parse)
  expect(!hasBody || method !== 'GET', 'method', 'one with a body', method)
  return { ...options, base, loadFallback: () => loadPart(() => loadFallback(options)), loadBodies: hasBody ? importBodies : undefined, method, transports, connectTimeoutMs, reconnect: { minDelayMs, maxDelayMs, maxAttempts, foreignDelayMs } }
}
