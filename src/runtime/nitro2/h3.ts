import type { H3Event } from 'h3'
import { createError, getQuery, getRequestHeader, getResponseHeader, readBody, sendStream, setResponseHeaders, setResponseStatus } from 'h3'

/** `#sse/h3` for h3 1 (Nuxt 4, Nitro 2): every function that the server needs from its framework. `nitro3/h3.ts` is the counterpart for h3 2. */

export { defineEventHandler } from 'h3'

export const methodOf = (event: H3Event): string => event.method

/** Path with its query. */
export const pathOf = (event: H3Event): string => event.path

/** Pattern that the path matched, if any. */
export const routeOf = (event: H3Event): string | undefined => event.context.matchedRoute?.path as string | undefined

export const headerOf = (event: H3Event, name: string): string | undefined => getRequestHeader(event, name)

/** Applies `change` to the URL for all code that reads it later: the original URL, h3's copy, and the part that remains for this route. */
export function rewriteUrl(event: H3Event, change: (url: string) => string): void {
  const request = event.node.req as { url?: string, originalUrl?: string }
  const layer = event as { _path?: string }
  request.url = request.url && change(request.url)
  request.originalUrl = request.originalUrl && change(request.originalUrl)
  layer._path = layer._path && change(layer._path)
}

/** Query parameters. The values of a repeated name are an array. */
export const queryOf = (event: H3Event): Record<string, unknown> => getQuery(event)

/** Body as JSON. Rejects if it is something else. */
export const bodyOf = (event: H3Event): Promise<unknown> => readBody(event, { strict: true })

/** Address of the socket. */
export const addressOf = (event: H3Event): string | undefined => event.node.req.socket?.remoteAddress

/** Node's request and response, or their stand-ins on other runtimes. */
export const nodeOf = (event: H3Event): H3Event['node'] | undefined => event.node

/** Aborted when the client leaves. Of Nitro's web entries, only Cloudflare's passes on its request, which has the signal. */
export const signalOf = (event: H3Event): AbortSignal | undefined => (event.context.cloudflare as { request?: Request } | undefined)?.request?.signal

export function setStatus(event: H3Event, statusCode: number): void {
  setResponseStatus(event, statusCode)
}

/** Response header that has been set so far. */
export const sentHeaderOf = (event: H3Event, name: string): unknown => getResponseHeader(event, name)

export function setHeaders(event: H3Event, headers: Record<string, string>): void {
  setResponseHeaders(event, headers)
}

/** Whether other code has answered the request. */
export const isAnswered = (event: H3Event): boolean => event.handled

/** Responds with a stream. The handler must return the result. */
export function answerWith(event: H3Event, stream: ReadableStream<Uint8Array>): unknown {
  // Resolves at once: without a socket, h3 passes the stream to its caller. The request counts as answered now.
  void sendStream(event, stream)
  return undefined
}

export interface HttpErrorInit {
  statusCode: number
  statusMessage?: string
  message: string
  data: object
  cause: unknown
}

/** h3's response keeps the headers that were set. */
export const createHttpError = (event: H3Event, init: HttpErrorInit): Error => createError(init)
