import { POLL_CONTENT_TYPE, STREAM_CONTENT_TYPE } from '../shared/protocol'

export const STREAM_HEADERS = {
  'content-type': STREAM_CONTENT_TYPE,
  // no-transform keeps compressing middleware away, which would hold messages back.
  'cache-control': 'no-cache, no-transform',
  // nginx and those who copied it buffer a response unless told otherwise.
  'x-accel-buffering': 'no',
  'vary': 'accept, last-event-id',
} as const

export const BATCH_HEADERS = { 'content-type': POLL_CONTENT_TYPE, 'cache-control': 'no-store', 'vary': 'accept, last-event-id' } as const

export const NOTHING_HEADERS = { 'cache-control': 'no-store', 'vary': 'accept, last-event-id' } as const

/** Those headers, where somebody has said already what an answer depends on, as CORS does: that stays true. */
export function addVary<Headers extends { vary: string }>(headers: Headers, existing: unknown): Headers {
  return existing ? { ...headers, vary: `${existing}, ${headers.vary}` } : headers
}
