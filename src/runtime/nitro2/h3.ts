import type { H3Event } from 'h3'
import { createError, getQuery, getRequestHeader, getResponseHeader, sendStream, setResponseHeaders, setResponseStatus } from 'h3'

/**
 * `#sse/h3` for h3 1 (Nuxt 4, Nitro 2): all that the server asks of its framework. `nitro3/h3.ts` is the same for h3 2.
 */

export { defineEventHandler } from 'h3'

export const methodOf = (event: H3Event): string => event.method

/** With the query. */
export const pathOf = (event: H3Event): string => event.path

/** The pattern that the path matched, where there is one. */
export const routeOf = (event: H3Event): string | undefined => event.context.matchedRoute?.path as string | undefined

export const headerOf = (event: H3Event, name: string): string | undefined => getRequestHeader(event, name)

/** Has `change` applied to the url, for all that look at it from now on: what came, what h3 made of it, and what is left of that for this route. */
export function rewriteUrl(event: H3Event, change: (url: string) => string): void {
  const request = event.node.req as { url?: string, originalUrl?: string }
  const layer = event as { _path?: string }
  request.url = request.url && change(request.url)
  request.originalUrl = request.originalUrl && change(request.originalUrl)
  layer._path = layer._path && change(layer._path)
}

/** Values of a name that comes twice are an array. */
export const queryOf = (event: H3Event): Record<string, unknown> => getQuery(event)

/** Of the socket. */
export const addressOf = (event: H3Event): string | undefined => event.node.req.socket?.remoteAddress

/** Node's request and response, or what stands for them elsewhere. */
export const nodeOf = (event: H3Event): H3Event['node'] | undefined => event.node

/** Aborted when the client leaves. Of Nitro's entries for the web, only Cloudflare's passes its request on, which has the signal. */
export const signalOf = (event: H3Event): AbortSignal | undefined => (event.context.cloudflare as { request?: Request } | undefined)?.request?.signal

export function setStatus(event: H3Event, statusCode: number): void {
  setResponseStatus(event, statusCode)
}

/** Of the answer, as far as it has been said. */
export const sentHeaderOf = (event: H3Event, name: string): unknown => getResponseHeader(event, name)

export function setHeaders(event: H3Event, headers: Record<string, string>): void {
  setResponseHeaders(event, headers)
}

/** Whether somebody else has answered the request. */
export const isAnswered = (event: H3Event): boolean => event.handled

/** Answers with a stream. What it returns is what the handler must return. */
export function answerWith(event: H3Event, stream: ReadableStream<Uint8Array>): unknown {
  // Resolves at once: without a socket, h3 hands the stream on to whoever called it. It counts as answered now.
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

/** Its response keeps the headers that were set. */
export const createHttpError = (event: H3Event, init: HttpErrorInit): Error => createError(init)
