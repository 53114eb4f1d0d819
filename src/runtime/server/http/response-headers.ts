import type { OwnHeaders } from './own-headers'
import { POLL_CONTENT_TYPE, PROTOCOL_HEADER, PROTOCOL_VERSION, STREAM_CONTENT_TYPE } from '../../shared/protocol'

/** What an answer depends on: the transport and the position. A cache that ignores one replays an answer to another question. */
const VARY = 'accept, last-event-id'

export const STREAM_HEADERS = {
  'content-type': STREAM_CONTENT_TYPE,
  // no-transform keeps compressing middleware away, which would hold messages back.
  'cache-control': 'no-cache, no-transform',
  // nginx and those who copied it buffer a response unless told otherwise.
  'x-accel-buffering': 'no',
  'vary': VARY,
  [PROTOCOL_HEADER]: PROTOCOL_VERSION,
}

export const BATCH_HEADERS = { 'content-type': POLL_CONTENT_TYPE, 'cache-control': 'no-store', 'vary': VARY, [PROTOCOL_HEADER]: PROTOCOL_VERSION }

export const NOTHING_HEADERS = { 'cache-control': 'no-store', 'vary': VARY, [PROTOCOL_HEADER]: PROTOCOL_VERSION }

/**
 * The headers of an answer: `headers`, under those of the option of that name. `existing` is a `vary` that the response has
 * already, such as that of CORS: it stays.
 */
export function answerHeaders(headers: Record<string, string> & { vary: string }, existing: unknown, own?: OwnHeaders): Record<string, string> {
  if (!existing && isEmpty(own)) return headers
  return { ...headers, ...own, vary: joinNames(existing, headers.vary, own?.vary) }
}

function isEmpty(own: OwnHeaders = {}): boolean {
  for (const _name in own) return false
  return true
}

/** Each name once. */
function joinNames(...lists: unknown[]): string {
  const names = lists.flatMap(list => list ? String(list).split(',').map(name => name.trim()).filter(Boolean) : [])
  return names.filter((name, index) => names.findIndex(other => other.toLowerCase() === name.toLowerCase()) === index).join(', ')
}
