import type { SSEError } from '../shared/errors'
import type { SSEControl, SSEOpenControl } from '../shared/protocol'
import type { SSEMessage, SSETransport } from '../shared/types'
import type { ServerMemory } from './memory'
import type { SSEClientEvents, SSEClientOptions, SSEClientState, SSEGap, SSEPeer, SSEShare } from './types'

/** Types of the client's parts, none of which is public. */

/** Client options with all defaults. Parts of the request that have no default may still be missing. `until` must not throw. */
export interface ResolvedClientOptions extends SSEClientOptions {
  method: string
  transports: SSETransport[]
  reconnect: { minDelayMs: number, maxDelayMs: number, maxAttempts: number, foreignDelayMs: number }
  connectTimeoutMs: number
  /** Option of `useSSE` only. */
  share?: SSEShare
  /** Base URL of the application, which ends with `/`. The network probe is below it. */
  base: string
  /** Loads the code that only some connections need. Rejects with a retryable error. */
  loadFallback: () => Promise<Fallback>
  /** Present with `body`: loads the code that encodes it. Rejects with a retryable error. */
  loadBodies?: () => Promise<BodyCode>
  /** Loads the state that the messages follow: before the first connection, and after each gap. Option of `useSSE` only. Never rejects. */
  readState?: (signal: AbortSignal) => Promise<LoadOutcome>
  /** Present with `readState`: the first step of each attempt. Returns how the attempt ends; `undefined` if a request follows. */
  loadState?: (host: ClientHost, session: AbortSignal, signal: AbortSignal, events: TransportEvents) => Promise<Outcome | undefined>
}

/** Interface of the client for its parts. */
export interface ClientHost {
  url: string
  options: ResolvedClientOptions
  /** Replaced when the URL changes. */
  memory: ServerMemory
  state: () => SSEClientState
  set: (change: Partial<SSEClientState>) => void
  /** Changes the state without calling `onState`. */
  merge: (change: Partial<SSEClientState>) => void
  /** Applies the change of a message to the state, and delivers the message. */
  receive: (message: SSEMessage, change: Partial<SSEClientState>) => void | Promise<void>
  /** The consumer's event. */
  onLoad: SSEClientEvents['onLoad']
  close: (change: Partial<SSEClientState>) => void
  prepare: (signal: AbortSignal) => Promise<TransportRequest>
}

/** Code for requests with a body. */
export interface BodyCode {
  encodeBody(body: unknown, headers: Headers): BodyInit
}

/** Result of a check: the message with its schema's output, or with the error of a message that is not delivered. */
export type CheckedMessage = [message: SSEMessage, error?: SSEError]

/** Functions for connections that fail, and for routes of several channels. They are in `fallback/`, which pages load on demand. */
export interface Fallback {
  findGate(session: AbortSignal, host: ClientHost): Promise<void>
  checkStream(attempt: AbortController, now: number, host: ClientHost): Promise<void>
  pollUntilStream(own: AbortController, host: ClientHost, events: TransportEvents): Promise<Outcome>
  probeNetwork(request: TransportRequest, attempt: AbortController, host: ClientHost): Promise<void>
  /** Present with the options `schema` and `events`. */
  checkMessage?(message: SSEMessage, options: Pick<SSEClientOptions, 'schema' | 'events'>, timeoutMs: number): Promise<CheckedMessage>
  loadOlder(history: History, limit?: unknown): Promise<SSEMessage[]>
  openSeveral(open: SSEOpenControl, requested: string | undefined, events: TransportEvents): Several
  readRefusal(response: Response, contentType: string, code: string): Promise<Outcome | undefined>
}

/** Messages that a call has had, as far as older ones are loaded. */
export interface History {
  readonly options: ResolvedClientOptions
  url: () => string
  state: () => SSEClientState
  /** Replaced when the call starts from scratch. `oldest`: ID of the oldest message since the last gap. `queue`: pages that are being loaded. */
  past: { oldest?: string, queue?: Promise<unknown> }
  /** Called when the state has changed, if a page waits for that. */
  wake?: () => void
}

/** Events of a transport, in the order of the bytes. The transport awaits each returned promise. */
export interface TransportEvents {
  /** The first bytes have arrived. `silenceMs`: the silence after which the connection counts as dead, if it is known. */
  onOpen(silenceMs?: number | false): void
  /**
   * The first block shows the kind of server. `restarts`: the field of `open` for a source without positions. `channels`: on a route of
   * several, whether each is over.
   */
  onPeer(peer: SSEPeer, restarts?: boolean, channels?: Record<string, SSEError | boolean>): void
  /** A message. `position`: the position after it, by default its `id`. */
  onMessage(message: SSEMessage, position?: string): void | Promise<void>
  /** A position without a message. An empty one resets it (WHATWG HTML, 9.2.6). */
  onPosition(position: string): void
  /** `position`: the position after the gap, by default that of the gap. Returns how the attempt ends, if the gap ends it. */
  onGap(gap: SSEGap & { position: string }, position?: string): Outcome | undefined | void
  /** Another change of the state. */
  onState(change: Partial<SSEClientState>): void
  /** The server's `retry` field, in milliseconds. */
  onRetry(retryMs: number): void
}

/** Reader of a stream's blocks. */
export interface Several {
  message(message: SSEMessage): void | Promise<void>
  /** Applies a control message. Returns how the stream ends, `null` if it continues, `undefined` if it is of no known type. */
  control(control: SSEControl): Outcome | null | undefined
  /** Applies a position without a message. */
  position(id: string): void
}

/** Attempt that failed. */
export interface Failure {
  type: 'failed'
  error: SSEError
  /** The `Retry-After` header, in milliseconds. */
  retryAfterMs?: number
  /** No byte arrived before the timeout. */
  silent?: boolean
  /** `fetch` rejected: there is no response. */
  unanswered?: boolean
  /** The failure does not count: a dependency of the server is down, or the client aborted the attempt. */
  uncounted?: boolean
  /** The source reported the error itself. */
  ofSource?: boolean
  /** The server refused the request without acting on it. */
  refused?: boolean
  /** The route answers polls, but not with batches. */
  unpollable?: boolean
}

/** End of an attempt. */
export type Outcome
  = | { type: 'ended', error?: SSEError }
    /** The server requests a reconnect after `retryMs`, or after the usual back-off. */
    | { type: 'leave', retryMs: number | undefined }
    /** No failure: the other transport takes over. */
    | { type: 'switch' }
    /** No connection yet: the state is loaded, and messages follow it. */
    | { type: 'loaded' }
    | Failure

/** Result of the option `load`. The messages after `position` follow `data`. */
export type LoadOutcome = { type: 'loaded', data: unknown, position: string } | Failure

/** Request of one attempt, for a transport. */
export interface TransportRequest {
  url: string
  fetch: typeof globalThis.fetch
  options: ResolvedClientOptions
  /** Arguments of `fetch`, made for this request alone: a transport adds its headers. */
  init: RequestInit & { headers: Headers }
  position: string | undefined
  peer: SSEPeer | undefined
  /** The position goes into the query, which is part of the key of caches. */
  skipCaches: boolean
  /** Sets another limit in milliseconds for the first bytes. Defined only while the stream is silent. */
  wait?: (ms: number) => void
  signal: AbortSignal
}
