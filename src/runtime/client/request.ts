import { follow } from '../shared/abort'
import { delay } from './delay'
import type { ResolvedClientOptions } from './options'
import { clientError } from './response'
import type { MaybeFresh, SSEQuery, TransportRequest } from './types'
import { addQuery } from './url'

/** Makes the request of one attempt, with options that are functions asked anew. They have `connectTimeoutMs`, and until the signal is aborted. */
export async function prepareRequest(url: string, options: ResolvedClientOptions, position: () => string | undefined, signal: AbortSignal): Promise<TransportRequest> {
  const { method, credentials, connectTimeoutMs, silenceTimeoutMs } = options
  const own = follow(signal)
  const asked = await Promise.race([
    Promise.all([options.query, options.headers, options.body].map(fresh)),
    delay(connectTimeoutMs, own.signal),
  ]).finally(() => own.abort())
  if (typeof asked === 'boolean') throw clientError('CONNECT_TIMEOUT', `Options that are functions took more than ${connectTimeoutMs} ms`, undefined, 0, true)
  const [query, headersInit, body] = asked as [SSEQuery, HeadersInit, unknown]
  const headers = new Headers(headersInit)
  const isJson = Array.isArray(body) || (!!body && Object.getPrototypeOf(body) === Object.prototype)
  if (isJson && !headers.has('content-type')) headers.set('content-type', 'application/json')
  const from = position()
  return {
    // Until there is a position of the server's own, the one that was asked for: a query, as it may be a number.
    url: addQuery(url, { position: from === undefined ? options.position : undefined, ...query }),
    init: { method, credentials, cache: 'no-store', headers, body: (isJson ? JSON.stringify(body) : body) as BodyInit },
    position: from,
    connectTimeoutMs,
    silenceTimeoutMs,
    signal,
  }
}

/** What an option is at this moment. */
export async function fresh(value: MaybeFresh<unknown>): Promise<unknown> {
  return typeof value === 'function' ? value() : value
}
