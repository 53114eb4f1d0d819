import type { ResolvedHandlerOptions } from '../options'
import { encodeOpeningBlock } from '../wire/encode'
import { spread } from '../lib/delays'

/** Description of the source in the first block of a stream. */
export interface StartPosition {
  position?: string
  resumed?: boolean
  /** For hooks: name of the streamed channel. */
  channel?: string
  /** See `SSEOpenControl`. */
  restarts?: boolean
  text?: boolean
}

/** First bytes of a stream: `retry`, the control message `open`, and the position, if there is one. */
export function openingBlock({ position, resumed, restarts, text }: StartPosition, { heartbeatMs, retryMs }: ResolvedHandlerOptions): string {
  const open = { type: 'open', heartbeatMs: heartbeatMs || 0, position, resumed, restarts, text } as const
  return encodeOpeningBlock(Math.round(spread(retryMs)), open, position)
}
