import { backoffDelay } from '../client/backoff'
import { delay } from '../client/delay'
import { SSEError, isRetryableStatus } from '../shared/errors'

const MAX_ATTEMPTS = 5
const BACKOFF = { minDelayMs: 500, maxDelayMs: 4_000 }

/** Target and settings of the requests for one URL. */
export interface Asker {
  url: string
  fetch: typeof globalThis.fetch
  credentials: RequestCredentials | undefined
  headers: () => Promise<Headers>
}

/**
 * Sends an idempotent request, up to five times while the network or the server fails.
 *
 * @throws the server's error, `HTTP_ERROR` or `NETWORK` as an `SSEError`; the reason of `signal` when it aborts
 */
export async function request({ url, fetch: send, credentials, headers }: Asker, init: RequestInit): Promise<Response> {
  const { signal } = init
  for (let failures = 1; ; failures++) {
    const response = await send(url, { ...init, credentials, headers: await headers() }).catch((cause: unknown) => {
      signal?.throwIfAborted()
      return new SSEError('NETWORK', 'The connection failed', { statusCode: 0, cause })
    })
    // Not by the class of a response: `fetch` may be another one than the global.
    const error = response instanceof SSEError ? response : response.ok ? undefined : await refusal(response)
    if (!error) return response as Response
    if (!error.retry || failures === MAX_ATTEMPTS) throw error
    await delay(backoffDelay(BACKOFF, failures), signal ?? new AbortController().signal, true)
    signal?.throwIfAborted()
  }
}

async function refusal(response: Response): Promise<SSEError> {
  const { message, data } = await response.json().catch(() => ({})) as { message?: string, data?: { code?: string } }
  const { status: statusCode } = response
  return new SSEError(data?.code ?? 'HTTP_ERROR', message ?? `The server responded with ${statusCode}.`, { statusCode, retry: isRetryableStatus(statusCode) })
}
