import type { H3Event } from 'h3'
import { createHttpError, headerOf, isAnswered, nodeOf, queryOf, sentHeaderOf, setHeaders, setStatus } from '#sse/h3'
import { createNodeResponse } from '#sse/node-response'
import type { SSEPending } from '../../shared/protocol'
import { PROTOCOL_HEADER } from '../../shared/protocol'
import { SSEError, isRetryableStatus } from '../../shared/errors'
import type { SSETransport } from '../../shared/types'
import { BATCH_HEADERS, NOTHING_HEADERS, STREAM_HEADERS, answerHeaders } from './response-headers'
import type { OwnHeaders } from './own-headers'
import type { RawRequest } from './request'
import type { SSEResponse } from './sink'
import { keepReading } from './unread-body'
import { WebResponse } from './web-response'

/** Requests and responses, through `#sse/h3`, which exists for both versions of h3. */

/** Reason phrases of the statuses with which requests are refused (RFC 9110). */
const STATUS_TEXT: Record<number, string> = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 406: 'Not Acceptable', 413: 'Content Too Large', 429: 'Too Many Requests', 500: 'Internal Server Error', 501: 'A Stream Cannot Be Prerendered', 503: 'Service Unavailable' }

export function readRawRequest(event: H3Event): RawRequest {
  return {
    accept: headerOf(event, 'accept'),
    lastEventId: headerOf(event, 'last-event-id'),
    protocol: headerOf(event, PROTOCOL_HEADER),
    query: queryOf(event),
  }
}

/** Creates the response: Node's own if it exists, otherwise a web stream. */
export function createResponse(event: H3Event): SSEResponse {
  const node = nodeOf(event)
  if (node?.res) keepReading(node.req, node.res)
  return createNodeResponse(event) ?? new WebResponse(event)
}

/** Sends headers without a body. */
export function sendHead(event: H3Event, transport: SSETransport, headers: OwnHeaders): string | undefined {
  if (isAnswered(event)) return undefined
  setHeaders(event, answerHeaders(transport === 'poll' ? BATCH_HEADERS : STREAM_HEADERS, sentHeaderOf(event, 'vary'), headers))
  return ''
}

/** Responds to an `OPTIONS` request with 204, and the headers that route rules or middleware have set. */
export function sendOptions(event: H3Event): null {
  return sendNothing(event)
}

/**
 * Responds with 204, for this client only: a cache may store a 204 by default (RFC 9110, 15.3.5), and the next client has not read anything
 * yet.
 */
export function sendNothing(event: H3Event): null {
  setStatus(event, 204)
  setHeaders(event, answerHeaders(NOTHING_HEADERS, sentHeaderOf(event, 'vary')))
  return null
}

/** Responds with JSON text. Return its result from the handler. */
export function sendJson(event: H3Event, json: string, headers?: OwnHeaders): string {
  setHeaders(event, answerHeaders(BATCH_HEADERS, sentHeaderOf(event, 'vary'), headers))
  return json
}

/** Responds with 503 and the delay, twice: in `Retry-After`, which every client knows, in whole seconds, and exactly in the body. */
export function sendPending(event: H3Event, message: string, retryMs: number): string {
  setStatus(event, 503)
  setRetryAfter(event, retryMs)
  return sendJson(event, JSON.stringify({ type: 'pending', message, retryMs } satisfies SSEPending))
}

/** Sets `Retry-After`, in whole seconds, as the standard requires. Also for errors, which keep headers that were set before. */
export function setRetryAfter(event: H3Event, retryMs: number): void {
  setHeaders(event, { 'retry-after': String(Math.ceil(retryMs / 1000)) })
}

/**
 * Converts an `SSEError` to an ordinary HTTP error of the framework. Its `data` has the code, and `retry` if that differs from the status's
 * default. Returns any other error unchanged.
 */
export function toHttpError(event: H3Event, error: unknown): unknown {
  if (!(error instanceof SSEError)) return error
  const { statusCode, message, code, retry, cause } = error
  // Without a status text, Nitro's status line is "Server Error" even for a 400.
  return createHttpError(event, { statusCode, statusMessage: STATUS_TEXT[statusCode], message, data: { code, ...retry !== isRetryableStatus(statusCode) && { retry } }, cause })
}

/**
 * Makes h3 1 recognize every `SSEError`, so that an ordinary handler may throw one: a 4xx response has its text and code, and is not
 * logged. On the server only, as pages do not need it. Safe to call twice.
 */
export function makeErrorsKnownToH3(): void {
  Object.defineProperty(SSEError, '__h3_error__', { value: true, configurable: true })
  Object.defineProperties(SSEError.prototype, {
    // Whether h3 logs it, and hides its text from the client.
    unhandled: { get(this: SSEError) {
      return this.statusCode >= 500
    }, configurable: true },
    // Content of the response besides the text.
    data: { get(this: SSEError) {
      return { code: this.code }
    }, configurable: true },
  })
}
