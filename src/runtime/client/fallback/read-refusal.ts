import { isRetryableStatus } from '../../shared/errors'
import { clientError, parseMs, serverError } from '../response'
import { parseRetryAfter } from '../retry-after'
import type { Outcome } from '../host'
import { readJson } from './read-json'

/**
 * Outcome of an attempt with this response. `undefined`: a success with the expected content type, which can be read. A success with another
 * content type is a final failure with `code`: it comes from another kind of route, or is a page.
 */
export async function readRefusal(response: Response, contentType: string, code: string): Promise<Outcome | undefined> {
  const { status, headers } = response
  if (status === 204) return { type: 'ended' }
  if (response.ok) {
    const got = headers.get('content-type')
    if (got?.toLowerCase().startsWith(contentType)) return undefined
    return { type: 'failed', error: clientError(code, `Expected ${contentType}, got ${got}: is ${withoutQuery(response.url) || 'it'} an SSE route?`, undefined, status) }
  }
  const retryAfterMs = parseRetryAfter(headers.get('retry-after'))
  // An error page of a proxy is not JSON.
  const body = await readJson(response).catch(() => undefined) as { type?: unknown, retryMs?: unknown, message?: unknown, data?: { code?: unknown, retry?: unknown } } | undefined
  const pending = status === 503 && body?.type === 'pending'
  return {
    type: 'failed',
    error: serverError({ code: body?.data?.code, message: body?.message || response.statusText || `${status}`, statusCode: status, retry: body?.data?.retry }),
    retryAfterMs: pending ? Math.max(parseMs(body.retryMs) ?? 0, retryAfterMs ?? 0) : retryAfterMs,
    // The server runs, but a dependency of it is down.
    uncounted: pending,
    // With these statuses, the server has not acted on the request.
    refused: status === 503 || status === 406 || (status < 500 && isRetryableStatus(status)),
  }
}

/** URL without its query, for texts that may be logged: the query may contain a ticket. */
export function withoutQuery(url: string): string {
  return url.replace(/\?.*/s, '')
}
