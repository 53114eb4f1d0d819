import type { H3Event } from 'h3'
import { createHttpError, headerOf, isAnswered, nodeOf, queryOf, sentHeaderOf, setHeaders, setStatus } from '#sse/h3'
import { createNodeResponse } from '#sse/node-response'
import type { SSEPending } from '../../shared/protocol'
import { SSEError, isRetryableStatus } from '../../shared/errors'
import type { SSETransport } from '../../shared/types'
import { BATCH_HEADERS, NOTHING_HEADERS, STREAM_HEADERS, answerHeaders } from './response-headers'
import type { OwnHeaders } from './own-headers'
import type { RawRequest } from './request'
import type { SSEResponse } from './sink'
import { keepReading } from './unread-body'
import { WebResponse } from './web-response'

/** Requests and answers, by way of `#sse/h3`, which both versions of h3 have. */

/** Reason phrases of the statuses that requests are refused with (RFC 9110). */
const STATUS_TEXT: Record<number, string> = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 406: 'Not Acceptable', 413: 'Content Too Large', 429: 'Too Many Requests', 500: 'Internal Server Error', 501: 'A Stream Cannot Be Prerendered', 503: 'Service Unavailable' }

export function readRawRequest(event: H3Event): RawRequest {
  return {
    accept: headerOf(event, 'accept'),
    lastEventId: headerOf(event, 'last-event-id'),
    query: queryOf(event),
  }
}

/** Node's own response where there is one; a web stream elsewhere. */
export function createResponse(event: H3Event): SSEResponse {
  const node = nodeOf(event)
  if (node?.res) keepReading(node.req, node.res)
  return createNodeResponse(event) ?? new WebResponse(event)
}

/** Headers without a body. */
export function sendHead(event: H3Event, transport: SSETransport, headers: OwnHeaders): string | undefined {
  if (isAnswered(event)) return undefined
  setHeaders(event, answerHeaders(transport === 'poll' ? BATCH_HEADERS : STREAM_HEADERS, sentHeaderOf(event, 'vary'), headers))
  return ''
}

/** 204, with the headers that route rules or middleware have set. */
export function sendOptions(event: H3Event): null {
  return sendNothing(event)
}

/** For this reader only: a cache may keep a 204 of its own accord (RFC 9110, 15.3.5), and the next one has not read anything. */
export function sendNothing(event: H3Event): null {
  setStatus(event, 204)
  setHeaders(event, answerHeaders(NOTHING_HEADERS, sentHeaderOf(event, 'vary')))
  return null
}

/** Answers with JSON text. What it returns is what the handler must return. */
export function sendJson(event: H3Event, json: string, headers?: OwnHeaders): string {
  setHeaders(event, answerHeaders(BATCH_HEADERS, sentHeaderOf(event, 'vary'), headers))
  return json
}

/** 503, with the delay twice: in `Retry-After`, which every client knows, in whole seconds, and in the body, exactly. */
export function sendPending(event: H3Event, message: string, retryMs: number): string {
  setStatus(event, 503)
  setRetryAfter(event, retryMs)
  return sendJson(event, JSON.stringify({ type: 'pending', message, retryMs } satisfies SSEPending))
}

/** In whole seconds, as the standard has it. Also for errors, which keep the headers that were set. */
export function setRetryAfter(event: H3Event, retryMs: number): void {
  setHeaders(event, { 'retry-after': String(Math.ceil(retryMs / 1000)) })
}

/** An ordinary HTTP error of the framework, with the code in its `data`, and whether to try again where the status says otherwise. Anything but an `SSEError` stays what it is. */
export function toHttpError(event: H3Event, error: unknown): unknown {
  if (!(error instanceof SSEError)) return error
  const { statusCode, message, code, retry, cause } = error
  // Without one, Nitro's status line says "Server Error" for a 400 too.
  return createHttpError(event, { statusCode, statusMessage: STATUS_TEXT[statusCode], message, data: { code, ...retry !== isRetryableStatus(statusCode) && { retry } }, cause })
}

/**
 * Makes every `SSEError` an error that h3 1 knows, so that an ordinary handler may throw one: a 4xx is answered with its text and code,
 * and is not logged. On the server only: a page would load it for nothing. Safe to call twice.
 */
export function makeErrorsKnownToH3(): void {
  Object.defineProperty(SSEError, '__h3_error__', { value: true, configurable: true })
  Object.defineProperties(SSEError.prototype, {
    // Whether h3 logs it, and keeps its text from the client.
    unhandled: { get(this: SSEError) {
      return this.statusCode >= 500
    }, configurable: true },
    // What the answer has besides the text.
    data: { get(this: SSEError) {
      return { code: this.code }
    }, configurable: true },
  })
}
