import { isRetryableStatus } from '../../shared/errors'
import { clientError, msOf, toldError, withoutQuery } from '../response'
import type { Outcome } from '../types'
import { readJson } from './read-json'

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

/** The `Retry-After` header in milliseconds: seconds or a date (RFC 9110, 10.2.3). `undefined` when absent or neither. */
export function parseRetryAfter(value: string | null, now = Date.now()): number | undefined {
  if (!value) return undefined
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
