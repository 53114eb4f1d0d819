import type { H3Event } from 'h3'
import type { SSEGap } from '../../shared/protocol'
import type { SSETransport } from '../../shared/types'

/** One open stream, as `sse:open` and `sse:close` tell of it. */
export interface SSEOpened {
  event: H3Event
  /** With the query, which may hold a secret; a ticket that `requireSSETicket` has read is no longer in it. */
  path: string
  /** The pattern that the path matched (`/api/jobs/:id`), if it is known. There are few of them, so that it can label a metric. */
  route?: string
  /** Only where the source is a channel: its name. That of a resumable run, and its positions, are shortened: they are the key to it. */
  channel?: string
  /** Only where the source is resumable: where the stream began. */
  position?: string
  /** Whether it goes on from the position that was asked for. */
  resumed: boolean
}

export interface SSEClosed extends SSEOpened {
  reason: SSEEndReason
  /** With the reason `error`: what the client was told. */
  code?: string
  durationMs: number
  /** Messages that were accepted for this stream. Whether they arrived, nobody knows. */
  messages: number
  /** Bytes of the body that were accepted, heartbeats and control messages among them. */
  bytes: number
}

/**
 * Why a stream ended: its source is complete (`end`) or has failed (`error`), the server asked the client to reconnect
 * (`leave`: shutdown, lifetime, slow reader), or the client left (`disconnect`).
 */
export type SSEEndReason = 'end' | 'error' | 'leave' | 'disconnect'

export interface SSEPublished {
  channel: string
  id: string
  event?: string
  /** Of the data, as JSON. */
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
 * - `push`: what a handler pushed was refused
 * - `source`: a handler or its source failed in a way that clients are not told
 * - `channel`: a producer failed in such a way, or lost its lease; or a channel was failed with such an error
 * - `driver`: an open stream cannot go on reading; told once for all attempts
 * - `background`: clean-ups, `revalidate`, the shutdown
 */
export type SSEErrorPlace = 'request' | 'publish' | 'push' | 'source' | 'channel' | 'driver' | 'background'

export interface SSEErrorSeen {
  error: unknown
  /** That of an `SSEError`, or in the `data` of another error; else `HTTP_401` and the like for one with a status; else `UNKNOWN`. */
  code: string
  where: SSEErrorPlace
  /** With `request`. */
  event?: H3Event
  /** With `publish`. */
  channel?: string
}

/** The server's hooks. Nothing waits for a hook, and one that fails is only reported. */
export interface SSEHooks {
  /** A stream has opened. */
  'sse:open': (opened: SSEOpened) => void | Promise<void>
  /** A stream is over: once for each `sse:open`. */
  'sse:close': (closed: SSEClosed) => void | Promise<void>
  /** The driver has a message. */
  'sse:publish': (published: SSEPublished) => void | Promise<void>
  /** A client was told of a gap. */
  'sse:gap': (told: SSEGapTold) => void | Promise<void>
  /** Something was refused, or failed where nobody awaits it. */
  'sse:error': (seen: SSEErrorSeen) => void | Promise<void>
}

/** Calls the hooks of whichever framework there is. */
export interface HookCaller {
  /** Whether anybody listens: no payload is made for nobody. */
  isHeard(name: keyof SSEHooks): boolean
  call<Name extends keyof SSEHooks>(name: Name, payload: Parameters<SSEHooks[Name]>[0]): unknown
}
