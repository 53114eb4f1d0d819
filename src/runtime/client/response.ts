import { SSEError, isRetryableStatus } from '../shared/errors'
import { parseRetryAfter } from './backoff'
import type { Outcome } from './types'

/** An error that the client itself found: final, and without a status. */
export function clientError(code: string, message: string, cause?: unknown, statusCode = 0, retry = false): SSEError {
  return new SSEError(code, message, { statusCode, retry, cause })
}

/** One after which the client tries again. */
export function passingError(code: string, message: string, cause?: unknown): SSEError {
  return clientError(code, message, cause, 0, true)
}

/** The connection was lost without a position to go on from: final. */
export function interrupted(cause?: SSEError): SSEError {
  return clientError('INTERRUPTED', 'The connection was lost, and cannot safely be made again', cause)
}

/** An answer that does not continue from where the request asked: retried past caches. */
export function staleAnswer(): SSEError {
  return passingError('STALE_ANSWER', 'A cache answered in place of the server')
}

/** The same error, with what this client makes of it. `retryAt`: epoch milliseconds. */
export function revised({ code, message, statusCode, cause, details }: SSEError, retry: boolean, retryAt?: number): SSEError {
  return new SSEError(code, message, { statusCode, retry, retryAt, cause, details })
}

/** Characters of one answer that are gathered before it is given up: a batch of ours is a sixteenth of it at most, unless its last message is larger. */
const MAX_ANSWER_LENGTH = 67_108_864

/** The body as JSON. `touch` is called whenever there is more of it. Throws `MESSAGE_TOO_LARGE`. */
export async function readJson(response: Response, touch = () => {}): Promise<unknown> {
  const decoder = new TextDecoder()
  const reader = response.body!.getReader()
  let text = ''
  while (true) {
    const { done, value } = await reader.read()
    if (done) return JSON.parse(text)
    touch()
    text += decoder.decode(value, { stream: true })
    if (text.length > MAX_ANSWER_LENGTH) throw clientError('MESSAGE_TOO_LARGE', 'An answer is too large')
  }
}

/** An error as a server tells of it. What is not of the type that it should be counts as not said. */
export function toldError({ code, message, statusCode, retry }: Record<string, unknown>): SSEError {
  return new SSEError(typeof code === 'string' ? code : 'HTTP_ERROR', typeof message === 'string' ? message : 'The server gave no reason.', {
    statusCode: typeof statusCode === 'number' ? statusCode : undefined,
    retry: typeof retry === 'boolean' ? retry : undefined,
  })
}

/** What can be asked for again, in a header as in a query, whatever JSON has put there. */
export function isPosition(value: unknown): value is string {
  return typeof value === 'string' && !/[\r\n\0]/.test(value)
}

/** Milliseconds, where it is a number of them. */
export function msOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined
}

/** For texts that may end up in a log: there may be a ticket in the query. */
export function withoutQuery(url: string): string {
  return url.replace(/\?.*/s, '')
}

/**
 * How an attempt ends with this response; `undefined` if it does not, as this is a success with the expected content type. A success with
 * another one fails with `code`, for good: it comes from some other route, or is a page.
 */
export async function refusalOf(response: Response, contentType: string, code: string): Promise<Outcome | undefined> {
  const { status, headers } = response
  if (status === 204) return { type: 'ended' }
  if (response.ok) {
    const got = headers.get('content-type')
    if (got?.toLowerCase().startsWith(contentType)) return undefined
    return { type: 'failed', error: clientError(code, `Expected ${contentType}, got ${got}: is ${withoutQuery(response.url) || 'it'} an SSE route?`, undefined, status) }
  }
  const retryAfterMs = parseRetryAfter(headers.get('retry-after'))
  // An error page of whatever stands in between is no JSON.
  const body = await readJson(response).catch(() => undefined) as { type?: unknown, retryMs?: unknown, message?: unknown, data?: { code?: unknown, retry?: unknown } } | undefined
  const pending = status === 503 && body?.type === 'pending'
  return {
    type: 'failed',
    error: toldError({ code: body?.data?.code, message: body?.message || response.statusText || `${status}`, statusCode: status, retry: body?.data?.retry }),
    retryAfterMs: pending ? Math.max(msOf(body.retryMs) ?? 0, retryAfterMs ?? 0) : retryAfterMs,
    // The server works, but something that it depends on does not.
    uncounted: pending,
    // With these statuses, the server has done nothing.
    refused: status === 503 || status === 406 || (status < 500 && isRetryableStatus(status)),
  }
}
