import { parsePositionRequest, POSITION_FORMS } from '../shared/position'
import type { PositionRequest } from '../shared/position'
import { POLL_CONTENT_TYPE, STREAM_CONTENT_TYPE } from '../shared/protocol'
import { SSEError, printValue } from '../shared/errors'
import { withoutSecret } from '../shared/secret-epoch'
import type { SSETransport } from '../shared/types'

/** What this package looks at in a request, whatever framework it came through. Query values may be arrays: `?a=1&a=2`. */
export interface RawRequest {
  method: string
  accept?: string
  lastEventId?: string
  query: Record<string, unknown>
}

export interface SSERequest {
  transport: SSETransport
  /** HEAD, and OPTIONS, which browsers send by themselves before a request to another origin: the handler's own checks run, and nothing starts. */
  headOnly: boolean
  /** The text of the position asked for: an empty one counts as none. */
  position?: { text: string, source: 'header' | 'query' }
  /** How long a poll may wait; `undefined` when the request does not say. */
  waitMs?: number
}

/** Reads a request. Throws `INVALID_QUERY` (400) and `NOT_ACCEPTABLE` (406), each saying what is allowed. */
export function readSSERequest(raw: RawRequest): SSERequest {
  return {
    transport: readTransport(raw),
    headOnly: raw.method === 'HEAD' || raw.method === 'OPTIONS',
    position: readPosition(raw),
    waitMs: readWaitMs(raw.query.waitMs),
  }
}

/**
 * The position asked for on a channel. A malformed query is refused; a malformed header is not, because a browser's
 * `EventSource` never comes back after a 400: it is told of a gap instead.
 */
export function channelPosition(position: SSERequest['position']): PositionRequest | 'malformed' | undefined {
  if (!position) return undefined
  const request = parsePositionRequest(position.text)
  if (request) return request
  if (position.source === 'header') return 'malformed'
  throw new SSEError('INVALID_POSITION', `Expected \`position\` to be ${POSITION_FORMS}, got ${withoutSecret(printValue(position.text))}.`, { statusCode: 400 })
}

function readTransport({ accept, query: { transport } }: RawRequest): SSETransport {
  if (transport !== undefined) {
    if (transport === 'stream' || transport === 'poll') return transport
    throw invalidQuery('transport', '`stream` or `poll`', transport)
  }
  if (!accept?.trim()) return 'stream'
  const ranges = acceptedRanges(accept)
  if (ranges.has(STREAM_CONTENT_TYPE)) return 'stream'
  if (ranges.has(POLL_CONTENT_TYPE)) return 'poll'
  if (ranges.has('*/*') || ranges.has('text/*')) return 'stream'
  if (ranges.has('application/*')) return 'poll'
  throw new SSEError('NOT_ACCEPTABLE', `Expected \`Accept\` to allow \`${STREAM_CONTENT_TYPE}\` or \`${POLL_CONTENT_TYPE}\`, got ${printValue(accept)}.`, { statusCode: 406 })
}

/** Media ranges without parameters. Of the weights only 0 matters, which means "not this" (RFC 9110, 12.4.2). */
function acceptedRanges(accept: string): Set<string> {
  const ranges = accept.toLowerCase().split(',').map(range => range.split(';').map(part => part.trim()))
  return new Set(ranges.filter(([, ...parameters]) => !parameters.some(parameter => /^q=0(?:\.0*)?$/.test(parameter))).map(([type]) => type!))
}

function readPosition({ lastEventId, query: { position } }: RawRequest): SSERequest['position'] {
  if (lastEventId) return { text: fromHeader(lastEventId), source: 'header' }
  if (position === undefined || position === '') return undefined
  // What cannot stand in an `id` field cannot be a position of any source.
  if (typeof position !== 'string' || /[\r\n\0]/.test(position)) throw invalidQuery('position', POSITION_FORMS, position)
  return { text: position, source: 'query' }
}

/** Browsers send the UTF-8 bytes of the id, and HTTP servers read header bytes as Latin-1. */
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

function invalidQuery(name: string, expected: string, got: unknown): SSEError {
  return new SSEError('INVALID_QUERY', `Expected the query parameter \`${name}\` to be ${expected}, got ${withoutSecret(printValue(got))}.`, { statusCode: 400 })
}
