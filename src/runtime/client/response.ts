import { SSEError, isRetryableStatus } from '../shared/errors'
import { parseRetryAfter } from './backoff'
import type { Outcome } from './types'

/** An error of this side, which is final: there is no status. */
export function clientError(code: string, message: string, cause?: unknown, statusCode = 0, retry = false): SSEError {
  return new SSEError(code, message, { statusCode, retry, cause })
}

/** One that is tried again. */
export function passingError(code: string, message: string, cause?: unknown): SSEError {
  return clientError(code, message, cause, 0, true)
}

/** The same error, with what this client makes of it. `retryAt`: epoch milliseconds. */
export function revised({ code, message, statusCode, cause, details }: SSEError, retry: boolean, retryAt?: number): SSEError {
  return new SSEError(code, message, { statusCode, retry, retryAt, cause, details })
}

/** For texts that may end up in a log: there may be a ticket in the query. */
export function withoutQuery(url: string): string {
  return url.replace(/\?.*/s, '')
}

/**
 * What an answer means that is not what was asked for; `undefined` if it is: a 200 of that content type. Another type is
 * `code`, and final: this is some other route, or a page in place of one.
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
  const body = await response.json().catch(() => undefined) as { type?: unknown, retryMs?: unknown, message?: unknown, data?: { code?: string } } | undefined
  const retry = isRetryableStatus(status)
  const pending = status === 503 && body?.type === 'pending'
  return {
    type: 'failed',
    error: new SSEError(body?.data?.code ?? 'HTTP_ERROR', String(body?.message || response.statusText || status), { statusCode: status, retry }),
    retryAfterMs: pending ? Math.max(Number(body.retryMs) || 0, retryAfterMs ?? 0) : retryAfterMs,
    // The server works, and waits for what it depends on.
    uncounted: pending,
    // These say that nothing was done.
    refused: status === 503 || status === 406 || (retry && status < 500),
  }
}
