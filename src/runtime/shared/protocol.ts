import type { SSEPublicError } from './errors'
import type { SSEMessage } from './types'

/** The event name of every control message; refused as a name of an ordinary one. */
export const CONTROL_EVENT = 'sse'

export const STREAM_CONTENT_TYPE = 'text/event-stream'
export const POLL_CONTENT_TYPE = 'application/json'

/** The response header that marks an answer of this package; its value is {@link PROTOCOL_VERSION}. */
export const PROTOCOL_HEADER = 'x-nuxt-sse'
export const PROTOCOL_VERSION = '1'

/**
 * - `trimmed`: retention has removed what was asked for
 * - `epoch`: the log was lost or deleted, and another has begun
 * - `invalid`: the position was malformed, or lies beyond the end
 */
export type SSEGapReason = 'trimmed' | 'epoch' | 'invalid'

/** What a reader missed for good. */
export interface SSEGap {
  reason: SSEGapReason
  /** How many messages; `null` where that cannot be known. */
  missed: number | null
  /** Where the reader goes on: right before the message that follows. */
  position: string
}

/** The first block of every stream. */
export interface SSEOpenControl {
  type: 'open'
  /** The longest silence to expect, in milliseconds; 0 when the server sends no heartbeats. */
  heartbeatMs: number
  /** Only where the source is resumable: where the reader stands. */
  position?: string
  /** Only where the source is resumable: whether it goes on from the position that was asked for. */
  resumed?: boolean
  /** Only where the source has no positions. `true`: each connection runs it from scratch. `false`: it sends what happens while connected. */
  restarts?: boolean
  /** Data is text as it was sent, and not JSON. */
  text?: boolean
}

export interface SSEGapControl extends SSEGap {
  type: 'gap'
}

/** The source is complete: do not come back. */
export interface SSEEndControl {
  type: 'end'
}

/** The source failed. `retry` says whether coming back may help. */
export interface SSEErrorControl extends SSEPublicError {
  type: 'error'
}

/** The server asks you to come back: it shuts down, the stream is old, or you read too slowly. */
export interface SSELeaveControl {
  type: 'leave'
  /** How long to wait before coming back, in milliseconds, already jittered. */
  retryMs: number
}

/** A sign of life, of routes with `heartbeatAs: 'control'`. */
export interface SSEHeartbeatControl {
  type: 'heartbeat'
}

export type SSEControl = SSEOpenControl | SSEGapControl | SSEEndControl | SSEErrorControl | SSELeaveControl | SSEHeartbeatControl

/** The answer of the poll transport. */
export interface SSEBatch<T = unknown> {
  type: 'batch'
  messages: SSEMessage<T>[]
  /** After the last of `messages`: what to ask for next. */
  position: string
  /** The channel has ended, and this batch reaches its end. */
  ended: boolean
  /** What was missed before `messages`. */
  gap: SSEGap | null
  /** How long to wait before the next poll, in milliseconds; 0 when the server itself waits for news. */
  pollMs: number
  /** Only when the channel failed: why. Comes with `ended: true`. */
  error?: SSEPublicError
}

/** The body of a 503: the driver cannot be reached at the moment. Keep the position and ask again. */
export interface SSEPending {
  type: 'pending'
  message: string
  /** How long to wait before asking again, in milliseconds, already jittered. */
  retryMs: number
}
