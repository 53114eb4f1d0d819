import type { IncomingMessage, ServerResponse } from 'node:http'
import type { H3Event } from 'nitro/h3'
import { HTTPError, getQuery } from 'nitro/h3'

/** `#sse/h3` for h3 2 (Nuxt 5, Nitro 3): every function that the server needs from its framework. `nitro2/h3.ts` is the counterpart for h3 1. */

export { defineHandler as defineEventHandler } from 'nitro/h3'

export const methodOf = (event: H3Event): string => event.req.method

/** Path with its query. */
export const pathOf = (event: H3Event): string => event.url.pathname + event.url.search

/** Pattern that the path matched, if any. */
export const routeOf = (event: H3Event): string | undefined => event.context.matchedRoute?.route

export const headerOf = (event: H3Event, name: string): string | undefined => event.req.headers.get(name) ?? undefined

/** Applies `change` to the URL for all code that reads it later: the event, its request, and Node's request, if any. */
export function rewriteUrl(event: H3Event, change: (url: string) => string): void {
  const url = new URL(change(event.url.href))
  event.url = url
  // The request has only a getter for `url`. A request of Node's also caches the URL object from which h3 makes its events.
  if ('_url' in event.req) event.req._url = url
  Object.defineProperty(event.req, 'url', { value: url.href, configurable: true })
  const request = event.runtime?.node?.req
  if (request?.url) request.url = change(request.url)
}

/** Query parameters. The values of a repeated name are an array. */
export const queryOf = (event: H3Event): Record<string, unknown> => getQuery(event)

/** Body as JSON. Rejects if it is something else. */
export const bodyOf = (event: H3Event): Promise<unknown> => event.req.json()

/** Address of the socket. */
export const addressOf = (event: H3Event): string | undefined => event.req.ip

/** Node's request and response, if the server runs on Node. */
export const nodeOf = (event: H3Event): { req: IncomingMessage, res: ServerResponse } | undefined => event.runtime?.node as never

/** Aborted when the client leaves. */
export const signalOf = (event: H3Event): AbortSignal | undefined => event.req.signal

export function setStatus(event: H3Event, statusCode: number): void {
  event.res.status = statusCode
}

/** Response header that has been set so far. */
export const sentHeaderOf = (event: H3Event, name: string): unknown => event.res.headers.get(name)

export function setHeaders(event: H3Event, headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) event.res.headers.set(name, value)
}

/** Whether other code has answered the request by writing directly to Node's response. */
export const isAnswered = (event: H3Event): boolean => event.runtime?.node?.res?.headersSent === true

/** Responds with a stream. The handler must return the result. */
export function answerWith(event: H3Event, stream: ReadableStream<Uint8Array>): unknown {
  // On Node: a response that ends by closing needs no chunk framing, and leaves no open socket that would delay a shutdown.
  const response = event.runtime?.node?.res
  if (response) Object.assign(response, { shouldKeepAlive: false, useChunkedEncodingByDefault: false })
  return stream
}

export interface HttpErrorInit {
  statusCode: number
  statusMessage?: string
  message: string
  data: object
  cause: unknown
}

/** Copies the headers that were set: h3 2 starts a new response for an error, and Nitro 3 sends only the error's own headers. */
export const createHttpError = (event: H3Event, { statusCode, statusMessage, ...init }: HttpErrorInit): Error =>
  new HTTPError({ ...init, status: statusCode, statusText: statusMessage, headers: event.res.headers })
