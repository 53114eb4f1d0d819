import { formatPosition } from '../../shared/position'
import type { PositionRequest } from '../../shared/position'
import type { SSEGap, SSEGapReason } from '../../shared/protocol'
import type { LogState } from '../drivers/types'

/**
 * Where a reader begins in a log. Pure: no timers, no driver, no connection.
 *
 * Everything is addressed by offset, and offsets have no holes. So "what comes next" always has one answer, and nothing has to
 * remember what was sent.
 */

/** What a log says of its messages. */
type LogRange = Pick<LogState, 'epoch' | 'first' | 'last'>

/** Where a reader begins, and what it must be told first. */
export interface ReplayStart {
  /** The reader has everything up to here, this one included. */
  offset: number
  /** It goes on from the position that it asked for. */
  resumed: boolean
  gap: SSEGap | null
}

/**
 * Answers a request for a position. `'malformed'` is one that could not be parsed and may not be refused, because it
 * came from a browser that would never ask again.
 */
export function locate(request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now', state: LogRange): ReplayStart {
  const oldest = state.first - 1
  const missing = (reason: SSEGapReason, missed: number | null): ReplayStart =>
    ({ offset: oldest, resumed: false, gap: { reason, missed, position: formatPosition(state.epoch, oldest) } })

  if (request === 'malformed') return missing('invalid', null)
  const kind = request?.kind ?? from
  if (kind === 'start') return { offset: oldest, resumed: false, gap: null }
  if (kind === 'now') return { offset: state.last, resumed: false, gap: null }

  const { offset, epoch } = { epoch: state.epoch, ...request as Extract<PositionRequest, { offset: number }> }
  if (epoch !== state.epoch) return missing('epoch', null)
  if (offset > state.last) return missing('invalid', null)
  if (offset < oldest) return missing('trimmed', oldest - offset)
  return { offset, resumed: true, gap: null }
}

/** Where to read before the state of the log is known: for most who ask it is right, and one read is all they need. */
export function firstGuess(request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now'): number {
  if (typeof request === 'object' && 'offset' in request) return request.offset
  const kind = request === 'malformed' ? 'start' : request?.kind ?? from
  // Behind everything, so that a page of what nobody asked for is not fetched only to learn where the end is.
  return kind === 'now' ? Number.MAX_SAFE_INTEGER : 0
}

/** The gap of a reader at `position`, if the log no longer keeps what follows it. */
export function gapBehind(position: { epoch: string, offset: number }, state: LogRange): SSEGap | null {
  const { gap } = locate({ kind: 'at', ...position }, 'start', state)
  return gap
}
