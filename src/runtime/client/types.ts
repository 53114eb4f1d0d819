import type { SSEError } from '../shared/errors'
import type { SSEGapReason as ServerGapReason } from '../shared/protocol'
import type { SSESchema, SSESchemas } from '../shared/standard-schema'
import type { SSEMessage, SSETransport } from '../shared/types'

/**
 * State of a connection:
 *
 * - `idle`: not connected yet, or paused; always on the server
 * - `connecting`: the first attempt is in flight
 * - `connected`: messages arrive, over either transport
 * - `reconnecting`: the next attempt is waiting or in flight
 * - `closed`: complete, stopped, or failed for good, with `error`
 */
export type SSEStatus = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'closed'

/** Value, or a function that is called at every attempt, such as for tokens that expire. */
export type MaybeFresh<T> = T | (() => T | Promise<T>)

/** Query parameters by name. `null` and `undefined` are left out. */
export type SSEQuery = Record<string, string | number | boolean | null | undefined>

/** Scope of one connection: one call of `useSSE`, all equal calls of a page, or those in all tabs of the browser. */
export type SSEShare = 'component' | 'page' | 'browser'

/** Delays between attempts, and their number. */
export interface SSEReconnectOptions {
  /**
   * Base of the delay before an attempt, in milliseconds, at least 0. The server's `retry` applies if it is larger. Default 500. For a
   * server without this module's protocol, `retry` replaces it, and the default is 3,000.
   */
  minDelayMs?: number
  /** Upper bound of the doubling delay, in milliseconds, at least 0. The server's `retry` applies if it is larger. Default 20,000. */
  maxDelayMs?: number
  /**
   * Failures in a row after which the client gives up with `GAVE_UP`, at least 1. A message, or a connection that holds for a while, resets
   * the count. Default: no limit. A source that restarts on each connection is given up after 5 runs that failed.
   */
  maxAttempts?: number
}

/** Options of a connection, common to `useSSE` and `openSSE`. */
export interface SSEClientOptions<M extends SSEMessage = SSEMessage> {
  /**
   * HTTP method. Default `GET`, or `POST` with a `body`. A request with another method than `GET` is repeated only if this module's server
   * announced that it resumes, or if the server refused the request. Otherwise a lost connection, or a `leave` of the server, fails with
   * `INTERRUPTED`.
   */
  method?: string
  /** Query parameters that are added to the URL. `null` and `undefined` are left out. Default: none. */
  query?: MaybeFresh<SSEQuery>
  /** Request headers, in any form that `fetch` accepts. Default: none. */
  headers?: MaybeFresh<HeadersInit>
  /**
   * Request body. Values that `fetch` accepts are sent as they are, other objects as JSON. Default: none. With `GET` it throws
   * `INVALID_OPTION`.
   */
  body?: MaybeFresh<unknown>
  /** Credentials mode of `fetch`. Default: that of `fetch`, `same-origin`. */
  credentials?: RequestCredentials
  /**
   * Replaces the global `fetch`, for interceptors and for platforms with their own. A rejection counts as `NETWORK`. Default: the global
   * `fetch`.
   */
  fetch?: typeof globalThis.fetch
  /**
   * Where to begin: `start`, `now`, an ID, `-n` for the last n messages, or the number of messages that you have already. Default: the server's
   * option `from`.
   */
  position?: string | number
  /**
   * Key of one channel, on a route of several: everything then concerns that channel alone, also `position` and `until`. The call closes when
   * the channel ends. Error where the route has no such channel: `UNKNOWN_CHANNEL`. Default: all channels.
   */
  channel?: string
  /**
   * How to read the text of a message: `json` (text that is not JSON stays text), `text` as it was sent, or a function. Default, for this
   * module's server: JSON, or raw text if its stream announces that. Default, for other servers: text that begins with `{` or `[` is read as
   * JSON if it is valid, other text stays text. If the function throws, the error is logged and the text is kept.
   */
  parse?: 'json' | 'text' | ((text: string) => unknown)
  /**
   * Standard Schema (zod, valibot, arktype) of the data, for messages of servers that are not yours; with `events`, of unnamed messages only. Types
   * come from it, and `data` is its output. A message that does not fit is not delivered: `error` is `INVALID_MESSAGE`, and reading continues.
   */
  schema?: SSESchema
  /** Schemas of named messages, by event name. Other names are not delivered (`INVALID_EVENT`); without `schema`, nor are unnamed messages. */
  events?: SSESchemas
  /** Returns `true` for the last message, and the client closes as `ended`. For endpoints that do not announce their end. Default: none. */
  until?: (message: M) => boolean
  /** Allowed transports, the preferred one first. Default `['stream', 'poll']`. */
  transports?: SSETransport[]
  /** Delays between attempts, and their number. */
  reconnect?: SSEReconnectOptions
  /**
   * Timeout for an attempt's headers and first bytes, in milliseconds, at least 1. Default 10,000; 60,000 with a `body`. Error:
   * `CONNECT_TIMEOUT`.
   */
  connectTimeoutMs?: number
  /**
   * Time without a byte after which the connection counts as dead, in milliseconds, at least 1. `false`: no limit. Default: 2.5 times the
   * heartbeat that the server announces; no limit if it announces none. Error: `SILENCE`.
   */
  silenceTimeoutMs?: number | false
  /**
   * Closes the connection while the page is hidden (`idle`), and resumes when it is visible again. A request that cannot be repeated
   * keeps running. Default `false`: a hidden page keeps its connection.
   */
  pauseWhenHidden?: boolean
}

/**
 * Reason of a gap. The protocol's reasons come from the server. The client adds two for sources without positions:
 *
 * - `restarted`: the source had sent messages, and began again from scratch
 * - `unknown`: the client reconnected, and messages that the source sent meanwhile are lost
 */
export type SSEGapReason = ServerGapReason | 'restarted' | 'unknown'

/** Messages that are lost for good. */
export interface SSEGap {
  reason: SSEGapReason
  /** Number of messages. `null` if it is unknown. */
  missed: number | null
  /** Position right before the next message. Only for sources with positions. */
  position?: string
  /** Key of the channel that lost messages, on a route of several. `position` is that channel's own. */
  channel?: string
}

/**
 * Kind of server, from its first block:
 *
 * - `foreign`: the stream began without `open`, so the server does not use this module's protocol
 * - `ours`: the server uses this module's protocol
 * - `resumable`: the server also resumes from a position, so any request may be repeated
 */
export type SSEPeer = 'foreign' | 'ours' | 'resumable'

/** State of a client. */
export interface SSEClientState {
  status: SSEStatus
  /**
   * Last error. Kept while reconnecting, `undefined` again with the next connection. `retry`: whether this client retries. `retryAt`: time of
   * the next attempt in epoch milliseconds, while it waits.
   */
  error: SSEError | undefined
  /** Position after the last message, from which a reconnect resumes. */
  position: string | undefined
  transport: SSETransport
  /** Failures in a row. */
  attempt: number
  /** The source is complete. */
  ended: boolean
  /** Last gap, if there was one. */
  gap: SSEGap | undefined
  /** Kind of server, `undefined` until it has answered. Internal: `useSSE` does not return it. */
  peer?: SSEPeer
  /** Whether a source without positions has answered (`stream`), or has sent messages. Internal. */
  had?: 'stream' | 'messages'
  /** On a route of several, the channels by key: whether each is over, with the error if it failed. Internal. */
  channels?: Record<string, SSEError | boolean>
}

/** Callbacks of a client. */
export interface SSEClientEvents {
  /**
   * Called for each message once, in order, with the fields that it changes, such as the position after it. The state has changed before,
   * without a call of `onState`. Reading continues when the returned promise resolves.
   */
  onMessage(message: SSEMessage, change: Partial<SSEClientState>): void | Promise<void>
  /** Called after every other change of the state, with the changed fields. */
  onState(change: Partial<SSEClientState>): void
}

/** Client of one source. */
export interface SSEClient {
  readonly state: SSEClientState
  /** Connects, and resumes from the position. With a `url`, starts from scratch there. Replaces a connection or a wait that is in progress. */
  connect(url?: string): void
  /**
   * Ends the connection but not the client: the status is `idle`, and `connect()` resumes from the position. Does nothing while a request that
   * cannot be repeated is in flight.
   */
  pause(): void
  /** Ends the connection and the client: the status is `closed`. `connect()` resumes from the position. */
  stop(): void
  /** Ends the connection and drops the state: the status is `idle`, as before the first `connect()`. */
  reset(): void
}
