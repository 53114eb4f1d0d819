import type { H3Event } from 'h3'
import type { SSEGap } from '../../shared/protocol'
import type { SSETransport } from '../../shared/types'

/** Open stream, as in the payloads of `sse:open` and `sse:close`. */
export interface SSEOpened {
  event: H3Event
  /** Path with its query, which may contain a secret. A ticket that `requireSSETicket` has read is removed. */
  path: string
  /** Pattern that the path matched (`/api/jobs/:id`), if it is known. There are few patterns, so that it can label a metric. */
  route?: string
  /** Name of the channel, if the source is one. The name and the positions of a resumable run are shortened: they are the key to it. */
  channel?: string
  /** Names of several channels by their keys; `channel` then lists them, joined by `, `. */
  channels?: Record<string, string>
  /** Position at which the stream began, if the source is resumable. */
  position?: string
  /** Whether the stream continues from the requested position. */
  resumed: boolean
}

export interface SSEClosed extends SSEOpened {
  reason: SSEEndReason
  /** Code of the error that the client received, with the reason `error`. */
  code?: string
  durationMs: number
  /** Number of messages that were accepted for this stream. Whether they arrived is unknown. */
  messages: number
  /** Bytes of the body that were accepted, including heartbeats and control messages. */
  bytes: number
}

/**
 * Reason for the end of a stream:
 * - `end`: its source is complete
 * - `error`: its source has failed
 * - `leave`: the server requested a reconnect (shutdown, lifetime, slow reader)
 * - `disconnect`: the client left
 */
export type SSEEndReason = 'end' | 'error' | 'leave' | 'disconnect'

export interface SSEPublished {
  channel: string
  id: string
  event?: string
  /** Bytes of the data as JSON. */
  bytes: number
}

export interface SSEGapTold {
  channel: string
  gap: SSEGap
  transport: SSETransport
}

/**
 * - `request`: a request was refused before a stream began
 * - `publish`: a message was refused, or the driver could not be reached
 * - `push`: data that a handler pushed was refused
 * - `source`: a handler or its source failed with an error that is not sent to clients
 * - `channel`: a producer failed with such an error, or lost its lease; or `fail` was called with such an error
 * - `driver`: an open stream cannot read; reported once for all attempts
 * - `background`: clean-ups, `revalidate`, the shutdown
 */
export type SSEErrorPlace = 'request' | 'publish' | 'push' | 'source' | 'channel' | 'driver' | 'background'

export interface SSEErrorSeen {
  error: unknown
  /** Code of an `SSEError`, or `data.code` of another error; else `HTTP_401` and the like for an error with a status; else `UNKNOWN`. */
  code: string
  where: SSEErrorPlace
  /** Event of the refused request, with `request`. */
  event?: H3Event
  /** Name of the channel, with `publish`. */
  channel?: string
}

/** Hooks of the server. Nothing waits for a hook, and a hook that fails is only reported. */
export interface SSEHooks {
  /** A stream has opened. */
  'sse:open': (opened: SSEOpened) => void | Promise<void>
  /** A stream has ended: called once for each `sse:open`. */
  'sse:close': (closed: SSEClosed) => void | Promise<void>
  /** The driver has stored a message. */
  'sse:publish': (published: SSEPublished) => void | Promise<void>
  /** A client received a gap. */
  'sse:gap': (told: SSEGapTold) => void | Promise<void>
  /** An operation was refused, or failed where no caller awaits it. */
  'sse:error': (seen: SSEErrorSeen) => void | Promise<void>
}

/** Calls the hooks of the framework in use. */
export interface HookCaller {
  /** Whether the hook has listeners. Without any, no payload is created. */
  isHeard(name: keyof SSEHooks): boolean
  call<Name extends keyof SSEHooks>(name: Name, payload: Parameters<SSEHooks[Name]>[0]): unknown
}
