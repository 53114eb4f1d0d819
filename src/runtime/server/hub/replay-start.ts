import { formatPosition } from '../../shared/position'
import type { PositionRequest } from '../../shared/position'
import type { SSEGap, SSEGapReason } from '../../shared/protocol'
import type { LogState } from '../drivers/types'

/**
 * Start positions of readers. Pure: no timers, no driver, no connection.
 *
 * Everything is addressed by offset, and offsets have no holes. The next message is therefore always determined, and no record of sent
 * messages is needed.
 */

/** Range of the messages in a log. */
type LogRange = Pick<LogState, 'epoch' | 'first' | 'last'>

/** Start of a reader: its position, and the gap to deliver first. */
export interface ReplayStart {
  /** Offset up to which the reader has every message, inclusive. */
  offset: number
  /** Whether the reader continues from the requested position. */
  resumed: boolean
  gap: SSEGap | null
}

/**
 * Resolves a requested position. `'malformed'` is a position that could not be parsed but may not be refused: it came from a browser that
 * would never reconnect.
 */
export function resolveStart(request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now', state: LogRange): ReplayStart {
  const oldest = state.first - 1
  const missing = (reason: SSEGapReason, missed: number | null): ReplayStart =>
    ({ offset: oldest, resumed: false, gap: { reason, missed, position: formatPosition(state.epoch, oldest) } })

  if (request === 'malformed') return missing('invalid', null)
  const kind = request?.kind ?? from
  if (kind === 'start') return { offset: oldest, resumed: false, gap: null }
  if (kind === 'now') return { offset: state.last, resumed: false, gap: null }
  if (kind === 'last') return { offset: Math.max(oldest, state.last - (request as { messages: number }).messages), resumed: false, gap: null }

  const { offset, epoch } = { epoch: state.epoch, ...request as Extract<PositionRequest, { offset: number }> }
  if (epoch !== state.epoch) return missing('epoch', null)
  if (offset > state.last) return missing('invalid', null)
  if (offset < oldest) return missing('trimmed', oldest - offset)
  return { offset, resumed: true, gap: null }
}

/** Offset to read after, before the state of the log is known. For most readers it is right, and one read suffices. */
export function probableOffset(request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now'): number {
  if (typeof request === 'object' && 'offset' in request) return request.offset
  const kind = request === 'malformed' ? 'start' : request?.kind ?? from
  // Beyond the end, so that the read finds the end without fetching a page that is not needed.
  return kind === 'now' || kind === 'last' ? Number.MAX_SAFE_INTEGER : 0
}

/** Gap of a reader at `position`, if the log no longer keeps the messages after it; otherwise `null`. */
export function gapAfter(position: { epoch: string, offset: number }, state: LogRange): SSEGap | null {
  const { gap } = resolveStart({ kind: 'at', ...position }, 'start', state)
  return gap
}
