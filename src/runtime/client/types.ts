import type { SSEError } from '../shared/errors'
import type { SSEGap } from '../shared/protocol'
import type { SSEMessage, SSETransport } from '../shared/types'

/**
 * - `idle`: not asked to connect yet (also everywhere on the server), or paused
 * - `connecting`: the first attempt is under way
 * - `connected`: messages arrive, over either transport
 * - `reconnecting`: waiting for the next attempt, or making it
 * - `closed`: complete, stopped, or failed for good (`error` says why)
 */
export type SSEStatus = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'closed'

/** A value, or a function that is asked anew at every attempt: for tokens that expire. */
export type MaybeFresh<T> = T | (() => T | Promise<T>)

export type SSEQuery = Record<string, string | number | boolean | null | undefined>

/** Who uses one connection: a call of `useSSE` alone, all of a page that ask for the same, or all tabs of the browser. */
export type SSEShare = 'component' | 'page' | 'browser'

export interface SSEReconnectOptions {
  /** Base of the delay before an attempt, in milliseconds; the server's `retry` counts if it is larger. Default 500. */
  minDelayMs?: number
  /** The delay doubles up to this, in milliseconds, or up to the server's `retry` if that is larger. Default 20,000. */
  maxDelayMs?: number
  /**
   * Failures in a row after which to give up (`GAVE_UP`), at least 1. A message, or staying open for a while, sets it back.
   * Default: never.
   */
  maxAttempts?: number
}

export interface SSEClientOptions<M extends SSEMessage = SSEMessage> {
  /**
   * HTTP method. Default `GET`. Any other is repeated only when that is safe: with a position, or when it was refused. Otherwise
   * a connection that is lost, or that the server ends with `leave`, fails with `INTERRUPTED`.
   */
  method?: string
  /** Added to the url. `null` and `undefined` are left out. */
  query?: MaybeFresh<SSEQuery>
  headers?: MaybeFresh<HeadersInit>
  /** Objects and arrays are sent as JSON, anything else as `fetch` sends it. Not with `GET`. */
  body?: MaybeFresh<unknown>
  /** As in `fetch`. Default: what `fetch` does, which is `same-origin`. */
  credentials?: RequestCredentials
  /** Where to begin: `start`, `now`, an id, or the number of messages that are had already. Default: what the server says. */
  position?: string | number
  /** Stop behind this message, for endpoints that do not say when they are complete. */
  until?: (message: M) => boolean
  /** Which transports may be used, the preferred one first. Default `['stream', 'poll']`. */
  transports?: SSETransport[]
  reconnect?: SSEReconnectOptions
  /** How long an attempt may take until its headers and first bytes are here, in milliseconds, at least 1. Default 10,000. */
  connectTimeoutMs?: number
  /**
   * After so many milliseconds without a byte the connection counts as dead. Default: 2.5 heartbeats as the server announces
   * them; without an announcement nobody knows, and there is no limit. At least 1; `false`: no limit.
   */
  silenceTimeoutMs?: number | false
  /**
   * Let go of the connection while the page is hidden (`idle`), and go on when it is visible. What cannot be repeated goes on. Default
   * `false`: a hidden page keeps its connection.
   */
  pauseWhenHidden?: boolean
}

/** What a client knows of itself. */
export interface SSEClientState {
  status: SSEStatus
  /**
   * What went wrong last; kept while reconnecting, gone with the next connection. `retry` says whether this client tries again, and
   * `retryAt` when, while it waits.
   */
  error: SSEError | undefined
  /** Behind the last message: what a reconnect asks for. */
  position: string | undefined
  transport: SSETransport
  /** Failures in a row. */
  attempt: number
  /** The source is complete. */
  ended: boolean
  /** What was missed last, if anything was. */
  gap: SSEGap | undefined
}

/** What a transport tells while it is open. It tells in the order of the bytes, and waits where a promise is returned. */
export interface TransportEvents {
  /** The first bytes are here. `silenceMs`: how long a silence counts as death, if that is known. */
  onOpen(silenceMs?: number | false): void
  onMessage(message: SSEMessage): void | Promise<void>
  /** An empty one resets (WHATWG HTML, 9.2.6). */
  onPosition(position: string): void
  onGap(gap: SSEGap): void
  /** The server's `retry` field, in milliseconds. */
  onRetry(retryMs: number): void
}

export interface Failure {
  type: 'failed'
  error: SSEError
  /** What `Retry-After` asked for, in milliseconds. */
  retryAfterMs?: number
  /** Nothing came, not even an error. */
  mute?: boolean
  /** No failure of the server's: it is waited for as long as it takes. */
  uncounted?: boolean
  /** The server has refused, so that it has done nothing. */
  refused?: boolean
  /** The route answers, but not with batches. */
  unpollable?: boolean
}

/** How an attempt ended. */
export type Outcome
  = | { type: 'ended' }
    /** As long as for a failure where it is not said how long. */
    | { type: 'leave', retryMs: number | undefined }
    /** Nothing went wrong: the other transport takes over. */
    | { type: 'again' }
    | Failure

export interface TransportRequest {
  url: string
  /** Its own: a transport adds its headers. */
  init: RequestInit & { headers: Headers }
  position: string | undefined
  connectTimeoutMs: number
  /** `undefined`: 2.5 heartbeats, if announced. */
  silenceTimeoutMs: number | false | undefined
  signal: AbortSignal
}

export type Transport = (request: TransportRequest, events: TransportEvents) => Promise<Outcome>
