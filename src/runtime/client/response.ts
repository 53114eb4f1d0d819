import { SSEError, isRetryableStatus } from '../shared/errors'
import { parseRetryAfter } from './backoff'
import type { Outcome } from './types'

/** An error of this side: there is no status. */
export function clientError(code: string, message: string, cause?: unknown, statusCode = 0, retry = false): SSEError {
  return new SSEError(code, message, { statusCode, retry, cause })
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
    return { type: 'failed', error: clientError(code, `Expected ${contentType}, got ${got}: is ${response.url} a route of defineSSEHandler?`, undefined, status) }
  }
  const retryAfterMs = parseRetryAfter(headers.get('retry-after'))
  // An error page of whatever stands in between is no JSON.
  const body = await response.json().catch(() => undefined) as { type?: unknown, retryMs?: unknown, message?: unknown, data?: { code?: string } } | undefined
  if (status === 503 && body?.type === 'pending') return { type: 'pending', retryMs: Math.max(Number(body.retryMs) || 0, retryAfterMs ?? 0) }
  const retry = isRetryableStatus(status)
  const error = new SSEError(body?.data?.code ?? 'HTTP_ERROR', String(body?.message || response.statusText || status), { statusCode: status, retry })
  // These say that nothing was done.
  return { type: 'failed', error, retryAfterMs, refused: status === 503 || (retry && status < 500) }
}
