import type { H3Event } from 'h3'
import { parseWhole } from '../../shared/whole-position'
import { Channel } from '../channel/channel'
import type { ChannelSource } from '../channel/several'
import type { StartPosition } from '../connection/opening-block'
import type { RequestedPosition, SSERequest } from '../http/request'
import { channelPosition, readPosition } from '../http/request'
import { readRawRequest } from '../http/response'
import type { KeyedStart, ReadStart } from '../hub/hub'
import type { ResolvedHandlerOptions } from '../options'
import { Presence } from '../presence/presence'
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
  const { text, parsed } = asked.position ?? {}
  return text === undefined || ['start', 'now', 'last'].includes(parsed?.kind ?? '') ? {} : { position: text, resumed: true }
}

/** Start of a request on each channel of a source. A key is set where there are several. */
export type Starts = [ReadStart] | KeyedStart[]

/**
 * Start of a request on each channel of a source. A reader of its own run receives all of it, also with `now` and `-n`: the first messages
 * may exist before the reader does.
 */
export function startsOn(source: ChannelSource, { position: asked }: SSERequest, { from }: ResolvedHandlerOptions): Starts {
  if (source instanceof Channel) {
    const request = channelPosition(asked)
    const start = { name: source.name, request, from, asked: asked?.parsed && asked.text }
    if (source instanceof Presence) return [{ ...start, snapshot: source.roster }]
    if (!(source instanceof RunChannel)) return [start]
    const isOfNoRun = typeof request === 'object' && (request.kind === 'now' || request.kind === 'last')
    return [{ ...start, request: isOfNoRun ? undefined : request, from: 'start' }]
  }
  const channels = Object.entries(source.channels)
  const parts = asked && parseWhole(asked.text, channels.map(([key]) => key))
  return channels.map(([key, channel], index) => ({
    key,
    name: channel.name,
    from,
    request: parts?.[index]!.request,
    asked: parts?.[index]!.text,
    snapshot: channel instanceof Presence ? channel.roster : undefined,
  }))
}

export function isKeyed(starts: Starts): starts is KeyedStart[] {
  return 'key' in starts[0]!
}
