import type { SSEError } from '../shared/errors'
import type { ServerMemory } from './memory'
import type { SSEGapReason as ServerGapReason } from '../shared/protocol'
import type { SSESchema, SSESchemas } from '../shared/standard-schema'
import type { SSEMessage, SSETransport } from '../shared/types'

/**
 * - `idle`: not asked to connect yet (also everywhere on the server), or paused
 * - `connecting`: the first attempt is under way
 * - `connected`: messages arrive, over either transport
 * - `reconnecting`: waiting for the next attempt, or making it
 * - `closed`: complete, stopped, or failed for good (`error` says why)
 */
export type SSEStatus = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'closed'

/** A value, or a function that is called at every attempt: for tokens that expire. */
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
   * After this many failures in a row, at least 1, the client gives up (`GAVE_UP`). A message, or staying open for a while, resets the
   * count. Default: never.
   */
  maxAttempts?: number
}

export interface SSEClientOptions<M extends SSEMessage = SSEMessage> {
  /**
   * HTTP method. Default `GET`, or `POST` with a `body`. A request with any other is repeated only when that is safe: when a server of ours said that it resumes,
   * or when the server refused it. Otherwise a connection that is lost, or that the server ends with `leave`, fails with `INTERRUPTED`.
   */
  method?: string
  /** Added to the url. `null` and `undefined` are left out. */
  query?: MaybeFresh<SSEQuery>
  /** Headers of the request, as `fetch` takes them. */
  headers?: MaybeFresh<HeadersInit>
  /** What `fetch` takes is sent as it is, any other object as JSON. Not with `GET`. */
  body?: MaybeFresh<unknown>
  /** As in `fetch`. Default: what `fetch` does, which is `same-origin`. */
  credentials?: RequestCredentials
  /** Makes the requests in place of the global `fetch`: for interceptors, and for platforms with one of their own. What it rejects with counts as `NETWORK`. */
  fetch?: typeof globalThis.fetch
  /** Where to begin: `start`, `now`, an id, or how many messages you have already. Default: what the server's option `from` says. */
  position?: string | number
  /**
   * What the text of a message becomes: `json` (text that is not JSON stays text), `text` as it was sent, or a function. Default: the JSON that this module
   * sends, unless its stream says that it is raw text; of other servers, text that begins with `{` or `[` and is JSON, and otherwise the text itself.
   */
  parse?: 'json' | 'text' | ((text: string) => unknown)
  /**
   * Standard Schema (zod, valibot, arktype) of the data, for messages of servers that are not yours; with `events`, of unnamed messages only. Types
   * come from it, and `data` is its output. A message that does not fit is not delivered: `error` is `INVALID_MESSAGE`, and reading continues.
   */
  schema?: SSESchema
  /** Schemas of named messages, by event name. Other names are not delivered (`INVALID_EVENT`); without `schema`, nor are unnamed messages. */
  events?: SSESchemas
  /** The message for which this returns `true` is the last: for endpoints that do not say when they are complete. */
  until?: (message: M) => boolean
  /** Which transports may be used, the preferred one first. Default `['stream', 'poll']`. */
  transports?: SSETransport[]
  reconnect?: SSEReconnectOptions
  /** How long to wait for an attempt's headers and first bytes, in milliseconds, at least 1. Default 10,000; 60,000 with a `body`. */
  connectTimeoutMs?: number
  /**
   * After this many milliseconds without a byte, at least 1, the connection counts as dead. `false`: no limit. Default: 2.5 times the
   * heartbeat that the server announces; no limit where it announces none.
   */
  silenceTimeoutMs?: number | false
  /**
   * Lets go of the connection while the page is hidden (`idle`), and goes on when it is visible again. A request that cannot be repeated
   * goes on. Default `false`: a hidden page keeps its connection.
   */
  pauseWhenHidden?: boolean
}

/**
 * Those of the protocol, and two that only the client can know, of sources without positions:
 *
 * - `restarted`: the source began from scratch, after there were messages
 * - `unknown`: the connection was made again, and what the source sent meanwhile is lost
 */
export type SSEGapReason = ServerGapReason | 'restarted' | 'unknown'

/** What was missed for good. */
export interface SSEGap {
  reason: SSEGapReason
  /** How many messages; `null` where that cannot be known. */
  missed: number | null
  /** Where the client continues: right before the message that follows. Only where there are positions. */
  position?: string
}

/**
 * What the server has shown of itself:
 *
 * - `foreign`: its stream began without `open`; nothing of our protocol is assumed
 * - `ours`: it speaks our protocol
 * - `resumable`: it also said that it resumes from a position, so that any request may be repeated
 */
export type SSEPeer = 'foreign' | 'ours' | 'resumable'

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
  /** Unknown until the server has answered. Internal: `useSSE` does not return it. */
  peer?: SSEPeer
  /** What a source without positions has given so far. Internal. */
  had?: 'stream' | 'messages'
}

export interface SSEClientEvents {
  /** Each message once, in order, and the position after it. The state has changed by then; nothing else reports that. Reading continues when the promise is resolved. */
  onMessage(message: SSEMessage, position: string | undefined): void | Promise<void>
  /** After every other change, with what has changed. */
  onState(change: Partial<SSEClientState>): void
}

export interface SSEClient {
  readonly state: SSEClientState
  /** Goes on from the position; with a `url`, begins anew there. Gives up the connection or the wait that is under way. */
  connect(url?: string): void
  /**
   * Ends the connection but not the client: the status is `idle`, the position is kept, and `connect()` goes on from it. Does nothing
   * while a request that cannot be repeated is under way.
   */
  pause(): void
  stop(): void
  /** Ends the connection and forgets everything: the status is `idle`, as before the first `connect()`. */
  reset(): void
  /** Runs the user's code. If it throws, that is logged and becomes the `error`, and everything else goes on. */
  guard<T>(task: () => T): T | undefined
}

/** What a transport tells while it is open: in the order of the bytes, waiting for any promise that is returned. */
export interface TransportEvents {
  /** The first bytes are here. `silenceMs`: the silence after which the connection counts as dead, if that is known. */
  onOpen(silenceMs?: number | false): void
  /** `restarts`: as `open` says of a source without positions. */
  onPeer(peer: SSEPeer, restarts?: boolean): void
  /** The `id` of a message is the position after it. */
  onMessage(message: SSEMessage): void | Promise<void>
  /** An empty one resets (WHATWG HTML, 9.2.6). */
  onPosition(position: string): void
  onGap(gap: SSEGap & { position: string }): void
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
  /** `fetch` itself failed: there is no response. */
  unanswered?: boolean
  /** Not a failure to be counted: the server says that it waits for something itself. */
  uncounted?: boolean
  /** The source itself says that it failed. */
  ofSource?: boolean
  /** The server refused the request, and so has done nothing. */
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
  fetch: typeof globalThis.fetch
  /** Loads what reads a refusal. */
  load: () => Promise<Fallback>
  /** Not shared: a transport adds its headers. */
  init: RequestInit & { headers: Headers }
  position: string | undefined
  peer: SSEPeer | undefined
  /** The position goes in the query, which caches look at. */
  pastCaches: boolean
  parse: SSEClientOptions['parse']
  connectTimeoutMs: number
  /** Sets another limit to the wait for the first bytes. There while the stream is silent. */
  wait?: (ms: number) => void
  /** `undefined`: 2.5 heartbeats, if announced. */
  silenceTimeoutMs: number | false | undefined
  signal: AbortSignal
}

/** The client's options with nothing left open but what the user may leave out of a request. */
export interface ResolvedClientOptions extends SSEClientOptions {
  method: string
  transports: SSETransport[]
  reconnect: { minDelayMs: number, maxDelayMs: number, maxAttempts: number, foreignDelayMs: number }
  connectTimeoutMs: number
  /** Only of `useSSE`. */
  share?: SSEShare
  /** Where the application begins, with `/` at its end: there is the probe of the network. */
  base: string
  /** Loads what only some connections need; resolves at once where it is there already. Rejects with a passing error. */
  loadFallback: () => Promise<Fallback>
}

/** A client, for the parts that it consists of. */
export interface ClientHost {
  url: string
  options: ResolvedClientOptions
  /** Another one for each url. */
  memory: ServerMemory
  state: () => SSEClientState
  set: (change: Partial<SSEClientState>) => void
  /** A message, and all that it changes. */
  receive: (message: SSEMessage, change: Partial<SSEClientState>) => void | Promise<void>
  close: (change: Partial<SSEClientState>) => void
  guard: SSEClient['guard']
  prepare: (signal: AbortSignal) => Promise<TransportRequest>
}

/** Result of a check: the message with its schema's output, or with the error of a message that is not delivered. */
export type CheckedMessage = [message: SSEMessage, error?: SSEError]

/** What a client needs when something is wrong; `fallback/` has it, and pages load it on demand. */
export interface Fallback {
  findGate(life: AbortSignal, host: ClientHost): Promise<void>
  checkStream(attempt: AbortController, now: number, host: ClientHost): Promise<void>
  pollUntilStream(own: AbortController, host: ClientHost, events: TransportEvents): Promise<Outcome>
  probeNetwork(request: TransportRequest, attempt: AbortController, host: ClientHost): Promise<void>
  /** There with the options `schema` and `events`. */
  checkMessage?(message: SSEMessage, options: Pick<SSEClientOptions, 'schema' | 'events'>, timeoutMs: number): Promise<CheckedMessage>
  refusalOf(response: Response, contentType: string, code: string): Promise<Outcome | undefined>
}
