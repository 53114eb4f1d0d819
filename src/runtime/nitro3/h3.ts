import type { IncomingMessage, ServerResponse } from 'node:http'
import type { H3Event } from 'nitro/h3'
import { HTTPError, getQuery } from 'nitro/h3'

/** `#sse/h3` for h3 2 (Nuxt 5, Nitro 3): all that the server asks of its framework. `nitro2/h3.ts` is the same for h3 1. */

export { defineHandler as defineEventHandler } from 'nitro/h3'

export const methodOf = (event: H3Event): string => event.req.method

/** With the query. */
export const pathOf = (event: H3Event): string => event.url.pathname + event.url.search

/** The pattern that the path matched, where there is one. */
export const routeOf = (event: H3Event): string | undefined => event.context.matchedRoute?.route

export const headerOf = (event: H3Event, name: string): string | undefined => event.req.headers.get(name) ?? undefined

/** Has `change` applied to the url, for all that look at it from now on: the event, its request, and Node's, where there is one. */
export function rewriteUrl(event: H3Event, change: (url: string) => string): void {
  const url = new URL(change(event.url.href))
  event.url = url
  // A request has only a getter for it. One of Node's also keeps the object that h3 makes its events of.
  if ('_url' in event.req) event.req._url = url
  Object.defineProperty(event.req, 'url', { value: url.href, configurable: true })
  const request = event.runtime?.node?.req
  if (request?.url) request.url = change(request.url)
}

/** Values of a name that comes twice are an array. */
export const queryOf = (event: H3Event): Record<string, unknown> => getQuery(event)

/** Of the socket. */
export const addressOf = (event: H3Event): string | undefined => event.req.ip

/** Node's request and response, where Node is the server. */
export const nodeOf = (event: H3Event): { req: IncomingMessage, res: ServerResponse } | undefined => event.runtime?.node as never

/** Aborted when the client leaves. */
export const signalOf = (event: H3Event): AbortSignal | undefined => event.req.signal

export function setStatus(event: H3Event, statusCode: number): void {
  event.res.status = statusCode
}

/** Of the answer, as far as it has been said. */
export const sentHeaderOf = (event: H3Event, name: string): unknown => event.res.headers.get(name)

export function setHeaders(event: H3Event, headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) event.res.headers.set(name, value)
}

/** Whether somebody else has answered the request: written past h3 to Node's response. */
export const isAnswered = (event: H3Event): boolean => event.runtime?.node?.res?.headersSent === true

/** Answers with a stream. What it returns is what the handler must return. */
export function answerWith(event: H3Event, stream: ReadableStream<Uint8Array>): unknown {
  // Where Node writes it: one that ends by closing needs no chunk framing, and leaves no socket behind that would hold back a shutdown.
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

/** With the headers that were set: h3 2 begins anew for an error, and Nitro 3 looks only at those of the error itself. */
export const createHttpError = (event: H3Event, { statusCode, statusMessage, ...init }: HttpErrorInit): Error =>
  new HTTPError({ ...init, status: statusCode, statusText: statusMessage, headers: event.res.headers })
