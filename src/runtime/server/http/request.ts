import { parsePositionRequest, POSITION_FORMS } from '../../shared/position'
import type { PositionRequest } from '../../shared/position'
import { POLL_CONTENT_TYPE, RENDER, STREAM_CONTENT_TYPE } from '../../shared/protocol'
import { SSEError, printValue } from '../../shared/errors'
import { withoutSecret } from '../../shared/secret-epoch'
import { isWhole } from '../../shared/whole-position'
import type { SSETransport } from '../../shared/types'
import { hasParameter, parseAccept, preferenceFor } from './accept'

/** Parts of a request that this module reads, independent of the framework. Query values may be arrays: `?a=1&a=2`. */
export interface RawRequest {
  accept?: string
  lastEventId?: string
  /** Value of the header that marks requests of this package. */
  protocol?: string
  query: Record<string, unknown>
}

/** Position that a request contains. `parsed` is its meaning on a channel, if it has one. An empty position counts as none. */
export interface RequestedPosition {
  readonly text: string
  readonly source: 'header' | 'query'
  readonly parsed: PositionRequest | undefined
}

/** Request for messages before a position. Only a channel answers it, which then checks the values: other sources may have such a parameter of their own. */
export interface OlderRequest {
  readonly before: unknown
  readonly limit: unknown
  readonly channel: unknown
  readonly position: unknown
  readonly raw: RawRequest
}

export interface SSERequest {
  /** Transport for a source that supports both, such as a channel. */
  transport: SSETransport
  /** Whether the request accepts a stream, for a source without a poll. */
  mayStream: boolean
  position?: RequestedPosition
  /** Whether the client wants the IDs of several channels to be those of their own channel, and keeps the other positions itself. */
  ownIds: boolean
  /** Set if the query has `before`. */
  older?: OlderRequest
  /** Whether a page reads the route on the server: the request belongs to a render, and not to a client that is there. */
  isRender: boolean
  /** How long a poll may wait; `undefined` when the request does not say. */
  waitMs?: number
}

/** Reads a request. Throws `INVALID_QUERY` (400) and `NOT_ACCEPTABLE` (406), with the allowed values in the message. */
export function readSSERequest(raw: RawRequest, position = readPosition(raw)): SSERequest {
  return {
    ...readTransport(raw),
    position,
    ownIds: raw.accept !== undefined && hasParameter(raw.accept, STREAM_CONTENT_TYPE, 'positions', 'own'),
    older: raw.query.before === undefined ? undefined : { before: raw.query.before, limit: raw.query.limit, channel: raw.query.channel, position: raw.query.position, raw },
    isRender: raw.protocol === RENDER,
    waitMs: readWaitMs(raw.query.waitMs),
  }
}

/**
 * Start position on a channel. Throws `INVALID_POSITION` (400) for a malformed query. A malformed header is not refused, because a
 * browser's `EventSource` never reconnects after a 400: the client receives a gap instead.
 */
export function channelPosition(position: RequestedPosition | undefined): PositionRequest | 'malformed' | undefined {
  if (!position || position.parsed) return position?.parsed
  // The second is a position of a route that had several channels. The client did not choose it, so it must not be refused.
  if (position.source === 'header' || isWhole(position.text)) return 'malformed'
  throw new SSEError('INVALID_POSITION', `Expected \`position\` to be ${POSITION_FORMS}, got ${withoutSecret(printValue(position.text))}.`, { statusCode: 400 })
}

function readTransport({ accept, query: { transport } }: RawRequest): Pick<SSERequest, 'transport' | 'mayStream'> {
  if (transport === undefined) return negotiate(accept)
  if (transport === 'stream' || transport === 'poll') return { transport, mayStream: transport === 'stream' }
  throw invalidQuery('transport', '`stream` or `poll`', transport)
}

/**
 * Transport that an `Accept` header prefers: by weight, then by how exactly it names each, then a stream. HTTP libraries often send a
 * header that allows only JSON, so such a request still receives a stream from a source without JSON. A header that refuses streams by name
 * (`text/event-stream;q=0`) does not. Throws `NOT_ACCEPTABLE` (406) if the header allows neither.
 */
export function negotiate(accept: string | undefined): Pick<SSERequest, 'transport' | 'mayStream'> {
  const ranges = parseAccept(accept ?? '')
  // No header, or one without a media range.
  if (!ranges.length) return { transport: 'stream', mayStream: true }
  const stream = preferenceFor(ranges, STREAM_CONTENT_TYPE)
  const poll = preferenceFor(ranges, POLL_CONTENT_TYPE)
  if (stream.quality === 0 && poll.quality === 0) {
    throw new SSEError('NOT_ACCEPTABLE', `Expected \`Accept\` to allow \`${STREAM_CONTENT_TYPE}\` or \`${POLL_CONTENT_TYPE}\`, got ${printValue(accept)}.`, { statusCode: 406 })
  }
  const prefersPoll = poll.quality > stream.quality || (poll.quality === stream.quality && poll.specificity > stream.specificity)
  const refusesStream = stream.quality === 0 && stream.specificity === 3
  return { transport: prefersPoll ? 'poll' : 'stream', mayStream: !refusesStream }
}

/** Throws `NOT_ACCEPTABLE` (406) if the client does not accept JSON, and `INVALID_QUERY` (400) if it requests a stream. */
export function assertJson({ accept, query: { transport } }: RawRequest): void {
  if (transport === 'stream') throw invalidQuery('transport', '`poll` beside `before`', transport)
  const ranges = parseAccept(accept ?? '')
  if (!transport && ranges.length && preferenceFor(ranges, POLL_CONTENT_TYPE).quality === 0) {
    throw new SSEError('NOT_ACCEPTABLE', `Expected \`Accept\` to allow \`${POLL_CONTENT_TYPE}\`, got ${printValue(accept)}.`, { statusCode: 406 })
  }
}

/** The position asked for. Throws `INVALID_QUERY` (400) for what cannot be the ID of a message. */
export function readPosition({ lastEventId, query }: Omit<RawRequest, 'accept'>): RequestedPosition | undefined {
  const { position } = query
  if (lastEventId) return toPosition(fromHeader(lastEventId), 'header')
  const polyfilled = lastEventIdInQuery(query)
  if (polyfilled) return toPosition(polyfilled, 'header')
  if (position === undefined || position === '') return undefined
  // Text that an `id` field cannot contain is no position of any source.
  if (typeof position !== 'string' || /[\r\n\0]/.test(position)) throw invalidQuery('position', POSITION_FORMS, position)
  return toPosition(position, 'query')
}

function toPosition(text: string, source: RequestedPosition['source']): RequestedPosition {
  return { text, source, parsed: parsePositionRequest(text) }
}

/**
 * Reads the header as polyfills of `EventSource` send it, which cannot set headers across origins: `lastEventId` (Yaffle/EventSource),
 * `evs_last_event_id` (amvtek/EventSource), `lastEventID` (the Mercure protocol), in any case and with any dashes. Uses the last of
 * several, since some polyfills add one at each reconnect.
 */
function lastEventIdInQuery(query: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(query)) {
    if (!/^(?:evs)?lasteventid$/.test(name.replaceAll(/[_-]/g, '').toLowerCase())) continue
    const text: unknown = Array.isArray(value) ? value.at(-1) : value
    if (text === undefined || text === '') continue
    if (typeof text !== 'string' || /[\r\n\0]/.test(text)) throw invalidQuery(name, POSITION_FORMS, text)
    return text
  }
}

/** Decodes a header: browsers send the UTF-8 bytes of the ID, and HTTP servers read header bytes as Latin-1. */
function fromHeader(text: string): string {
  // eslint-disable-next-line no-control-regex
  if (/^[\x00-\x7F]*$/.test(text) || /[^\x00-\xFF]/.test(text)) return text
  return new TextDecoder().decode(Uint8Array.from(text, character => character.charCodeAt(0)))
}

function readWaitMs(waitMs: unknown): number | undefined {
  if (waitMs === undefined) return undefined
  if (typeof waitMs === 'string' && /^\d{1,9}$/.test(waitMs)) return Number(waitMs)
  throw invalidQuery('waitMs', 'a whole number of milliseconds', waitMs)
}

export function invalidQuery(name: string, expected: string, got: unknown): SSEError {
  return new SSEError('INVALID_QUERY', `Expected the query parameter \`${name}\` to be ${expected}, got ${withoutSecret(printValue(got))}.`, { statusCode: 400 })
}
