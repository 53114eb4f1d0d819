import type { ResolvedHandlerOptions } from '../options'
import { encodePreamble } from '../wire/encode'
import { spread } from '../lib/delays'

/** What a stream says of its source in its first block. */
export interface StartPosition {
  position?: string
  resumed?: boolean
  /** For hooks: the channel that is streamed. */
  channel?: string
  /** See `SSEOpenControl`. */
  restarts?: boolean
  text?: boolean
}

/** The first bytes of a stream: `retry`, the control message `open`, and the position, if there is one. */
export function openingBlock({ position, resumed, restarts, text }: StartPosition, { heartbeatMs, retryMs }: ResolvedHandlerOptions): string {
  const open = { type: 'open', heartbeatMs: heartbeatMs || 0, position, resumed, restarts, text } as const
  return encodePreamble(Math.round(spread(retryMs)), open, position)
}
