import type { SSEPublicError } from './errors'
import type { SSEMessage } from './types'

/** Event name of every control message; refused as the name of an ordinary one. */
export const CONTROL_EVENT = 'sse'

export const STREAM_CONTENT_TYPE = 'text/event-stream'
export const POLL_CONTENT_TYPE = 'application/json'

/** Response header that marks an answer of this package; its value is {@link PROTOCOL_VERSION}. */
export const PROTOCOL_HEADER = 'x-nuxt-sse'
export const PROTOCOL_VERSION = '1'

/**
 * - `trimmed`: retention has removed the requested messages
 * - `epoch`: the log was lost or deleted, and another has begun
 * - `invalid`: the position was malformed, or is beyond the end
 */
export type SSEGapReason = 'trimmed' | 'epoch' | 'invalid'

/** Messages that a reader has missed for good. */
export interface SSEGap {
  reason: SSEGapReason
  /** Number of missed messages; `null` if it cannot be known. */
  missed: number | null
  /** Position at which the reader continues: right before the message that follows. */
  position: string
}

/** First block of every stream. */
export interface SSEOpenControl {
  type: 'open'
  /** Longest silence to expect, in milliseconds; 0 when the server sends no heartbeats. */
  heartbeatMs: number
  /** Position of the reader, if the source is resumable. */
  position?: string
  /** Whether the stream continues from the requested position, if the source is resumable. */
  resumed?: boolean
  /** Set only if the source has no positions. `true`: each connection runs it from scratch. `false`: it sends events as they happen. */
  restarts?: boolean
  /** Whether the data is plain text and not JSON. */
  text?: boolean
}

export interface SSEGapControl extends SSEGap {
  type: 'gap'
}

/** The source is complete: do not reconnect. */
export interface SSEEndControl {
  type: 'end'
}

/** The source failed. `retry`: whether a reconnect may help. */
export interface SSEErrorControl extends SSEPublicError {
  type: 'error'
}

/** The server requests a reconnect: it is shutting down, the stream is old, or the client reads too slowly. */
export interface SSELeaveControl {
  type: 'leave'
  /** Time to wait before the reconnect, in milliseconds, already jittered. */
  retryMs: number
}

/** Sign of life, on routes with `heartbeatAs: 'control'`. */
export interface SSEHeartbeatControl {
  type: 'heartbeat'
}

export type SSEControl = SSEOpenControl | SSEGapControl | SSEEndControl | SSEErrorControl | SSELeaveControl | SSEHeartbeatControl

/** Answer of the poll transport. */
export interface SSEBatch<T = unknown> {
  type: 'batch'
  messages: SSEMessage<T>[]
  /** Position after the last of `messages`: request it next. */
  position: string
  /** Whether the channel has ended and this batch reaches its end. */
  ended: boolean
  /** Gap before `messages`, or `null`. */
  gap: SSEGap | null
  /** Time to wait before the next poll, in milliseconds; 0 when the server itself waits for messages. */
  pollMs: number
  /** Error of a failed channel. Comes with `ended: true`. */
  error?: SSEPublicError
}

/** Body of a 503: the driver cannot be reached at the moment. Keep the position and retry. */
export interface SSEPending {
  type: 'pending'
  message: string
  /** Time to wait before the retry, in milliseconds, already jittered. */
  retryMs: number
}
