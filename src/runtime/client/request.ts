import type { ResolvedClientOptions } from './options'
import type { MaybeFresh, SSEQuery } from './types'
import { addQuery } from './url'

/** What an attempt asks for: its functions are called anew each time, for tokens that expire. */
export async function prepareRequest(url: string, options: ResolvedClientOptions, position: string | undefined): Promise<{ url: string, init: RequestInit & { headers: Headers } }> {
  const { method, credentials } = options
  const [query, headersInit, body] = await Promise.all([options.query, options.headers, options.body].map(fresh)) as [SSEQuery, HeadersInit, unknown]
  const headers = new Headers(headersInit)
  const isJson = Array.isArray(body) || (!!body && Object.getPrototypeOf(body) === Object.prototype)
  if (isJson && !headers.has('content-type')) headers.set('content-type', 'application/json')
  return {
    // Until there is a position of the server's own, the one that was asked for: a query, as it may be a number.
    url: addQuery(url, { position: position === undefined ? options.position : undefined, ...query }),
    init: { method, credentials, cache: 'no-store', headers, body: (isJson ? JSON.stringify(body) : body) as BodyInit },
  }
}

/** What an option is at this moment. */
export async function fresh(value: MaybeFresh<unknown>): Promise<unknown> {
  return typeof value === 'function' ? value() : value
}
