import type { OwnHeaders } from './own-headers'
import { POLL_CONTENT_TYPE, PROTOCOL_HEADER, PROTOCOL_VERSION, STREAM_CONTENT_TYPE } from '../../shared/protocol'

/** Request headers that a response depends on: transport and position. A cache that ignores one of them replays the wrong response. */
const VARY = 'accept, last-event-id'

export const STREAM_HEADERS = {
  'content-type': STREAM_CONTENT_TYPE,
  // `no-transform` disables compression in middleware, which would delay messages.
  'cache-control': 'no-cache, no-transform',
  // nginx, and proxies that follow it, buffer a response without this header.
  'x-accel-buffering': 'no',
  'vary': VARY,
  [PROTOCOL_HEADER]: PROTOCOL_VERSION,
}

export const BATCH_HEADERS = { 'content-type': POLL_CONTENT_TYPE, 'cache-control': 'no-store', 'vary': VARY, [PROTOCOL_HEADER]: PROTOCOL_VERSION }

export const NOTHING_HEADERS = { 'cache-control': 'no-store', 'vary': VARY, [PROTOCOL_HEADER]: PROTOCOL_VERSION }

/**
 * Headers of a response: `headers`, overridden by the option `headers` (`own`). `existing` is a `vary` that the response has already, such
 * as that of CORS: it is kept.
 */
export function answerHeaders(headers: Record<string, string> & { vary: string }, existing: unknown, own?: OwnHeaders): Record<string, string> {
  if (!existing && isEmpty(own)) return headers
  return { ...headers, ...own, vary: joinNames(existing, headers.vary, own?.vary) }
}

function isEmpty(own: OwnHeaders = {}): boolean {
  for (const _name in own) return false
  return true
}

/** Joins lists of names, without duplicates. */
function joinNames(...lists: unknown[]): string {
  const names = lists.flatMap(list => list ? String(list).split(',').map(name => name.trim()).filter(Boolean) : [])
  return names.filter((name, index) => names.findIndex(other => other.toLowerCase() === name.toLowerCase()) === index).join(', ')
}
