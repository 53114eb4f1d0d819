import { SSEError, isRetryableStatus } from '../shared/errors'
import type { SSEErrorOptions } from '../shared/errors'
import type { Outcome } from './types'
import { parseRetryAfter } from './backoff'

export function networkError(code: string, message: string, cause?: unknown, options?: SSEErrorOptions): SSEError {
  return new SSEError(code, message, { statusCode: 0, retry: true, cause, ...options })
}

/** What an answer other than 200 means; `undefined` for a 200. */
export async function refusalOf(response: Response): Promise<Outcome | undefined> {
  const { status, headers } = response
  if (status === 204) return { type: 'ended' }
  if (response.ok) return undefined
  const retryAfterMs = parseRetryAfter(headers.get('retry-after'))
  // An error page of whatever stands in between is no JSON.
  const body = await response.json().catch(() => undefined) as { type?: unknown, retryMs?: unknown, message?: unknown, data?: { code?: string } } | undefined
  if (status === 503 && body?.type === 'pending') return { type: 'pending', retryMs: Math.max(Number(body.retryMs) || 0, retryAfterMs ?? 0) }
  const error = new SSEError(body?.data?.code ?? 'HTTP_ERROR', String(body?.message || response.statusText || `HTTP ${status}`), {
    statusCode: status,
    retry: isRetryableStatus(status),
    details: { body },
  })
  return { type: 'failed', error, retryAfterMs, refused: status === 408 || status === 425 || status === 429 || status === 503 }
}
