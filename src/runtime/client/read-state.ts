import { isRetryableStatus } from '../shared/errors'
import type { Outcome } from './host'
import { clientError, isPosition } from './response'
import { parseRetryAfter } from './retry-after'

/** Fields that errors of `$fetch`, of `fetch` wrappers, and of this package may have. */
interface Refusal {
  statusCode?: unknown
  status?: unknown
  data?: { data?: { retry?: unknown } }
  response?: { headers?: { get?: (name: string) => string | null } }
}

/**
 * Calls the option `load` of `useSSE`. Never rejects: what `load` throws becomes `LOAD_FAILED`, which is final with a status that is final
 * for a stream. With `channel`, the position is that channel's own, also if `load` gave that of several. Only calls with `load` load this code.
 */
export async function readState(load: () => unknown, channel?: string): Promise<Outcome> {
  let state: { data?: unknown, position?: unknown } | null | undefined
  try {
    state = await load() as typeof state
  }
  catch (cause) {
    const { statusCode, status, data, response } = (cause ?? {}) as Refusal
    const code = [statusCode, status].find(one => typeof one === 'number') as number | undefined
    const told = data?.data?.retry
    const retry = typeof told === 'boolean' ? told : !code || isRetryableStatus(code)
    return {
      type: 'failed',
      error: clientError('LOAD_FAILED', 'Loading failed', cause, code, retry),
      retryAfterMs: parseRetryAfter(response?.headers?.get?.('retry-after') ?? null),
      refused: true,
    }
  }
  const { data, position: given } = state ?? {}
  // Not `partOf`: its file would be most of this chunk. A key has no special characters.
  const position = channel && isPosition(given) && given.includes(':') ? new RegExp(`(?:^|,)${channel}:([^,]*)`).exec(given)?.[1] : given
  if (isPosition(position) && position) return { type: 'loaded', data, position }
  return { type: 'failed', error: clientError('LOAD_FAILED', '`load` resolved without a position. Return the result of `channel.snapshot()` from its route: `{ data, position }`'), refused: true }
}
