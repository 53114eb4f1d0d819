import type { SSEOpenControl } from '../../shared/protocol'
import type { ResolvedHandlerOptions } from '../options'
import { encodeOpeningBlock } from '../wire/encode'
import { spread } from '../lib/delays'

/** Description of the source in the first block of a stream. */
export interface StartPosition {
  position?: string
  resumed?: boolean
  /** For hooks: the channel that is streamed, or several by their keys. */
  channel?: string | Record<string, string>
  /** See `SSEOpenControl`. */
  channels?: SSEOpenControl['channels']
  /** ID of the block. Default: the position. */
  id?: string | null
  /** See `SSEOpenControl`. */
  restarts?: boolean
  text?: boolean
}

/** The first bytes of a stream: `retry`, the control message `open`, and the position, if there is one. */
export function openingBlock({ position, resumed, channels, restarts, text, id = position }: StartPosition, { heartbeatMs, retryMs }: ResolvedHandlerOptions): string {
  const open = { type: 'open', heartbeatMs: heartbeatMs || 0, position, resumed, channels, restarts, text } as const
  return encodeOpeningBlock(Math.round(spread(retryMs)), open, id ?? undefined)
}
