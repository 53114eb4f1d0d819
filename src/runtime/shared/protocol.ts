import type { SSEPublicError } from './errors'
import type { SSEMessage } from './types'

/** Event name of every control message; refused as the name of an ordinary one. */
export const CONTROL_EVENT = 'sse'

export const STREAM_CONTENT_TYPE = 'text/event-stream'
export const POLL_CONTENT_TYPE = 'application/json'

/** Response header that marks an answer of this package; its value is {@link PROTOCOL_VERSION}. */
export const PROTOCOL_HEADER = 'x-nuxt-sse'
export const PROTOCOL_VERSION = '1'
/** Value of that header in requests by which a page reads a route on the server. */
export const RENDER = 'render'

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
  /** Whether the stream continues from the requested position, if the source is resumable; with several channels, in all of them. */
  resumed?: boolean
  /** Start of each channel by its key, on a route of several. Each position is that channel's own. */
  channels?: Record<string, { position: string, resumed: boolean }>
  /** Set only if the source has no positions. `true`: each connection runs it from scratch. `false`: it sends events as they happen. */
  restarts?: boolean
  /** Whether the data is plain text and not JSON. */
  text?: boolean
}

export interface SSEGapControl extends SSEGap {
  type: 'gap'
  /** Key of the channel, on a route of several; `position` is that channel's own. The others continue. */
  channel?: string
}

/** The source is complete: do not reconnect. */
export interface SSEEndControl {
  type: 'end'
  /** Key of the channel that has ended, on a route of several. The last `end` has none: then all are over. */
  channel?: string
}

/** The source failed. `retry`: whether a reconnect may help. */
export interface SSEErrorControl extends SSEPublicError {
  type: 'error'
  /** Key of the channel that has failed, on a route of several. The others continue. */
  channel?: string
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
  /** Position after the last of `messages`: request it next. With several channels, of all of them. */
  position: string
  /** Whether the channel has ended and this batch reaches its end. */
  ended: boolean
  /** Gap before `messages`, or `null`. */
  gap: SSEGap | null
  /** Time to wait before the next poll, in milliseconds; 0 when the server itself waits for messages. */
  pollMs: number
  /** Error of a failed channel. Comes with `ended: true`. */
  error?: SSEPublicError
  /** State of each channel by its key, on a route of several. `ended` means all of them, and `gap` is `null` unless the route had one channel before. */
  channels?: Record<string, SSEBatchChannel>
}

/** One of several channels in a batch. Its `position` is the channel's own. */
export type SSEBatchChannel = Pick<SSEBatch, 'position' | 'ended' | 'gap' | 'error'>

/** Answer to a request for older messages (`?before=`). */
export interface SSEPage<T = unknown> {
  type: 'page'
  /** Messages right before the requested one, the oldest first. */
  messages: SSEMessage<T>[]
  /** Whether the log keeps messages that are older. */
  hasOlder: boolean
  /** Set if the requested message belongs to another epoch; `messages` is empty then. */
  gap?: SSEGap
}

/** Body of a 503: the driver cannot be reached at the moment. Keep the position and retry. */
export interface SSEPending {
  type: 'pending'
  message: string
  /** Time to wait before the retry, in milliseconds, already jittered. */
  retryMs: number
}
