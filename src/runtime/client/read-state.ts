import { isRetryableStatus } from '../shared/errors'
import type { ClientHost, LoadOutcome, Outcome, TransportEvents } from './host'
import { clientError, isPosition, noPositions, retryableError } from './response'
import { parseRetryAfter } from './retry-after'

/**
 * First step of each attempt of a call with `load`. Loads the state, and returns how the attempt ends. If the state is loaded, lets a gap in
 * `events` end the attempt, so that the next one loads again, and returns `undefined`. Only calls with `load` load this code.
 */
export async function loadState({ options: { readState, channel }, memory, state, merge, onLoad }: ClientHost, session: AbortSignal, signal: AbortSignal, events: TransportEvents): Promise<Outcome | undefined> {
  // A call that was hydrated has its state, and a position, from the server.
  memory.loaded ??= !!state().position
  if (!memory.loaded) {
    const outcome = await readState!(session)
    if (outcome.type === 'failed' || session.aborted) return outcome
    const { data, position } = outcome
    memory.loaded = memory.unfollowed = true
    merge({ position })
    onLoad!(data, { position })
    return { type: 'loaded' }
  }
  memory.held = false
  const { onPeer, onGap } = events
  events.onPeer = (peer, ...rest) => {
    if (peer !== 'resumable' && !signal.aborted) throw noPositions()
    onPeer(peer, ...rest)
  }
  events.onGap = (gap, position) => {
    // With the option `channel`, the state is that of one channel.
    const reloads = !signal.aborted && gap.channel === (channel ?? gap.channel)
    if (reloads) memory.loaded = false
    onGap(gap, position)
    if (!reloads) return
    // A client that has just reconnected is as late as its delay was random. On an open connection, all clients get the gap at once.
    return memory.unfollowed
      ? { type: 'failed', error: retryableError('LOAD_FAILED', 'The loaded state is out of date') }
      : { type: 'leave', retryMs: memory.held ? undefined : 0 }
  }
}

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
export async function readState(load: () => unknown, channel?: string): Promise<LoadOutcome> {
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
