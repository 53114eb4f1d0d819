import type { H3Event } from 'h3'
import type { PositionRequest } from '../../shared/position'
import type { Channel } from '../channel/channel'
import type { StartPosition } from '../connection/opening-block'
import type { RequestedPosition, SSERequest } from '../http/request'
import { channelPosition, readPosition } from '../http/request'
import { readRawRequest } from '../http/response'
import type { ResolvedHandlerOptions } from '../options'
import { RunChannel } from './resumable'

const ASKED = Symbol('nuxt-sse: the position asked for')

/** Requested position, read once and kept with the event. */
interface Asked {
  readonly position: RequestedPosition | undefined
  /** The handler has read it: its source gives its messages IDs, and can be resumed. */
  byHandler: boolean
}

/** Reads the position once per request. Throws `INVALID_QUERY` (400). */
export function askedOf(event: H3Event & { [ASKED]?: Asked }): Asked {
  return event[ASKED] ??= { position: readPosition(readRawRequest(event)), byHandler: false }
}

/** Start position in the opening block of a source that is not a channel. `restarts` is sent only if the source has no positions of its own. */
export function startOfSource(event: H3Event & { [ASKED]?: Asked }, restarts: boolean): StartPosition {
  const asked = event[ASKED]
  if (!asked?.byHandler) return { restarts }
  // At its first blank line, a stream without an `id` makes the browser forget its last ID. So the requested position is sent back.
  const text = asked.position?.text
  return text === undefined || text === 'start' || text === 'now' ? {} : { position: text, resumed: true }
}

/**
 * Start of a request on a channel. A reader of its own run receives all of it, also with `now`: the first messages may exist before the
 * reader does.
 */
export function startOnChannel(channel: Channel, { position: asked }: SSERequest, { from }: ResolvedHandlerOptions): { position: PositionRequest | 'malformed' | undefined, from: 'start' | 'now' } {
  const position = channelPosition(asked)
  if (!(channel instanceof RunChannel)) return { position, from }
  return { position: asked?.parsed?.kind === 'now' ? undefined : position, from: 'start' }
}
