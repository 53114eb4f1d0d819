import type { BodyCode, ResolvedClientOptions, TransportRequest } from './host'
import { clientError, retryableError } from './response'
import type { MaybeFresh, SSEClientState, SSEQuery } from './types'
import { addQuery } from './url'
import { createWatchdog } from './watchdog'

/**
 * Request of one attempt. Options that are functions are called each time, and have `connectTimeoutMs` to resolve. Throws `CONNECT_TIMEOUT`,
 * or `INVALID_OPTION` for a request that cannot be sent.
 */
export async function prepareRequest(url: string, options: ResolvedClientOptions, state: () => Pick<SSEClientState, 'position' | 'peer'>, signal: AbortSignal, skipCaches = false): Promise<TransportRequest> {
  const { method, credentials, connectTimeoutMs } = options
  const watchdog = createWatchdog(signal, connectTimeoutMs)
  const values = await Promise.race([
    Promise.all([...[options.query, options.headers, options.body].map(fresh), options.loadBodies?.()]),
    new Promise((_, reject) => {
      watchdog.signal.addEventListener('abort', () => reject(retryableError('CONNECT_TIMEOUT', `An option took over ${connectTimeoutMs} ms`)))
    }),
  ]).finally(watchdog.stop)
  const { position: from, peer } = state()
  try {
    const [query, headersInit, body, bodies] = values as [SSEQuery, HeadersInit, unknown, BodyCode?]
    const headers = new Headers(headersInit)
    // Before the server has sent a position, the option `position` applies. It goes into the query, since it may be a number.
    const full = addQuery(url, { position: from === undefined ? options.position : undefined, ...query })
    // `fetch` would fail as if the network were down. A `fetch` of the user may accept other URLs.
    if (!options.fetch && !/^https?:/.test(new Request(full, { method, headers }).url)) throw new TypeError(`Not an HTTP URL: ${full}`)
    return {
      url: full,
      fetch: options.fetch ?? globalThis.fetch,
      options,
      init: { method, credentials, cache: 'no-store', headers, body: bodies?.encodeBody(body, headers) },
      position: from,
      peer,
      skipCaches,
      signal,
    }
  }
  catch (cause) {
    throw clientError('INVALID_OPTION', `Invalid request: ${(cause as Error).message}`, cause)
  }
}

/** Whether the request may be sent again. The effect of a first `POST` is unknown, unless the server has announced that it resumes. */
export function isRepeatable({ method }: Pick<ResolvedClientOptions, 'method'>, { peer }: Pick<SSEClientState, 'peer'>): boolean {
  return method === 'GET' || peer === 'resumable'
}

/** Current value of an option. */
export async function fresh(value: MaybeFresh<unknown>): Promise<unknown> {
  return typeof value === 'function' ? value() : value
}
