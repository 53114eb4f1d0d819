import type { H3Event } from 'h3'

/** Retention of a channel. The first bound that is reached removes the oldest messages. */
export interface SSERetention {
  /** Number of messages kept. Default 1000. At least 1. */
  maxMessages: number
  /** Maximum age of a message, in milliseconds. Default 3,600,000 (one hour). At least 1. */
  maxAgeMs: number
  /** Total size of the messages, in bytes of their data as UTF-8. The newest message is always kept. Default 67,108,864 (64 MiB). At least 1. */
  maxBytes: number
}

/** Retention that a writer passes to the driver. */
export interface LogRetention extends SSERetention {
  /**
   * Fields that the handle names. They become the channel's own until another handle names them, or the channel is deleted. The other
   * fields are defaults, for fields that no handle has named. Default: none.
   */
  named?: Partial<SSERetention>
}

/** Options of one handler. Each is also a module option under `sse` in `nuxt.config`; the handler's value overrides it. */
export interface SSEHandlerOptions {
  /**
   * Maximum silence on a stream, in milliseconds. After it, the server sends a heartbeat. Stay below the idle timeout of proxies and load
   * balancers (nginx and AWS: 60 s). `false` sends none: a peer that vanished is then noticed only with the next message.
   * @default 15000
   */
  heartbeatMs?: number | false
  /** Text of the heartbeat comment: one line of at most 1000 characters. @default '': the fewest bytes */
  heartbeatText?: string
  /**
   * Form of a heartbeat. `'control'` sends `{"type":"heartbeat"}` as an `sse` message without an ID, for clients that cannot see comments,
   * such as a plain `EventSource` that watches for silence. `heartbeatText` then has no effect. `useSSE` and `openSSE` accept either.
   * @default 'comment'
   */
  heartbeatAs?: 'comment' | 'control'
  /**
   * Headers added to streams and polls with status 200. `vary` is merged. `cache-control` replaces the built-in value, and must contain
   * `no-cache` or `no-store`. `content-type`, `content-length`, `set-cookie` and hop-by-hop headers are refused: `INVALID_OPTION`. A
   * handler's headers are added to the module's.
   * @default {}
   */
  headers?: Record<string, string>
  /** Delay before a client reconnects, in milliseconds, with ±50 % jitter per connection. Sent to the client as `retry`. @default 2000 */
  retryMs?: number
  /**
   * Maximum duration of a stream, in milliseconds (jittered down to 80 %). The server then sends a `leave`, and the client reconnects. For
   * platforms with a maximum duration.
   * @default false: no limit
   */
  maxLifetimeMs?: number | false
  /**
   * Maximum buffer for one slow reader, in bytes. While it is full, a generator is not pulled and an awaited `push()` waits. Pushes that
   * are not awaited end the connection with a `leave` when they exceed it. A channel needs no buffer: its log is the buffer.
   * @default 1048576 (1 MiB)
   */
  maxBufferedBytes?: number
  /**
   * Maximum size of one message's data as JSON, in bytes of UTF-8. Larger messages are refused: `MESSAGE_TOO_LARGE`.
   * @default 1048576 (1 MiB)
   */
  maxMessageBytes?: number
  /** Start of a client without a position on a channel: the oldest message kept (`'start'`), or the next message (`'now'`). @default 'start' */
  from?: 'start' | 'now'
  /**
   * Retention of channels. `useSSEChannel(name, { retention })` overrides it, field by field.
   * @default { maxMessages: 1000, maxAgeMs: 3600000, maxBytes: 67108864 }
   */
  retention?: Partial<SSERetention>
  /** Maximum wait of a poll for messages, in milliseconds; also the cap of `?waitMs=`. 0 responds at once. @default 20000 */
  pollWaitMs?: number
  /**
   * Maximum number of open connections: streams, and polls until their response was taken. Beyond it, new requests receive 503
   * `TOO_MANY_CONNECTIONS` with `Retry-After`; no open connection is evicted. As a module option it limits the process. On a handler it
   * limits that handler as well, and `false` exempts the handler. A reconnect may be refused while the client's old socket is still open.
   * @default false: no limit
   */
  maxConnections?: number | false
  /**
   * Maximum number of open connections per client; beyond it, 429 `TOO_MANY_CONNECTIONS_PER_CLIENT`. A client is an address (of IPv6 its
   * first 64 bits), unless `clientKey` returns another key.
   * @default false: no limit
   */
  maxConnectionsPerClient?: number | false
  /**
   * Runs the source that a handler returns (a generator, any iterable, a `ReadableStream`) once per new client, on a channel of its own. A
   * client that reconnects, to any instance, continues that run instead of starting another, and may poll. The handler's own checks run
   * again on each request. `retention` applies to the channel. No effect on channels and the push API.
   * @default false
   */
  resumable?: boolean
  /** Time that a `resumable` run continues without a reader before it is stopped, in milliseconds. @default 30000 */
  resumeWindowMs?: number
  /**
   * Lease of a `channel.run` on its channel, in milliseconds; its process renews it every third of that time. If the process dies, readers
   * receive an error, or another process takes over, within twice the time. Make it longer than an outage of Redis that a run should
   * survive. At least 300. Module option: on a handler it has no effect.
   * @default 10000
   */
  leaseMs?: number
  /**
   * Time after which a client that disconnected has left a presence (`useSSEPresence`), in milliseconds. If it reconnects before, to any
   * instance, the others notice nothing. Module option: on a handler it has no effect.
   * @default 5000
   */
  leaveAfterMs?: number
  /**
   * Maximum wait of a shutdown, in milliseconds from the signal, for clean-ups that return a promise, generators that are returning,
   * publishes in flight, and producers (`channel.pipe`, `channel.run`). Producers are then stopped. Their readers receive `SHUTTING_DOWN`,
   * or another process takes over. 0 does not wait. Module option: on a handler it has no effect.
   * @default 1000
   */
  shutdownMs?: number
  /**
   * Number of your own proxies in front of the server. A client's address is the entry that the outermost of them added to
   * `X-Forwarded-For`. Entries to its left are untrusted client input.
   * @default false: the header is ignored
   */
  trustProxy?: number | false
  /**
   * Maximum number of messages per second that this process may publish to one channel. Beyond it, `publish` rejects at once with
   * `PUBLISH_RATE`. `pipe` and `run` are not limited: they wait for the driver anyway. Module option: on a handler it has no effect.
   * @default false: no limit
   */
  maxPublishPerSecond?: number | false
}

/** Options of a handler, including functions, which cannot come from `nuxt.config`. */
export interface SSEOwnHandlerOptions extends SSEHandlerOptions {
  /**
   * Key of a client, such as a user's or session's ID. `maxConnectionsPerClient` counts by it (`undefined`: not limited), and only the
   * client that started a `resumable` run can continue it. `disconnectSSE` ends the streams of a key. Called before the handler runs.
   * @default the client's address for the limit; for a run, any client with its position
   */
  clientKey?: (event: H3Event) => string | undefined
  /**
   * Periodic check whether an open stream may continue. `check` runs every `everyMs` milliseconds (the first time jittered down to 80 %).
   * Checks never overlap.
   * - `false`, `null` (a missing session in many libraries), or an error made to be shown (`SSEError`, `createError`) ends the stream with
   * `error`: 401 `UNAUTHORIZED`, or the error's own code and status. The client does not retry.
   * - `'leave'` ends it with `leave`. The client reconnects through the handler's own checks, with a fresh token in place of an expired
   * one.
   * - Any other error, or no result before the next check is due, is logged, and the stream continues. After three in a row it ends with
   * 503 `REVALIDATION_FAILED`, and the client may reconnect.
   */
  revalidate?: SSERevalidate
}

export interface SSERevalidate {
  /** Interval between checks, in whole milliseconds. At least 1. */
  everyMs: number
  /** Returns or resolves with `false`, `'leave'`, or any other value to continue. */
  check: (event: H3Event) => unknown
}

/** Complete handler options, as the rest of the server uses them. */
export interface ResolvedHandlerOptions extends Required<Omit<SSEHandlerOptions, 'retention'>> {
  retention: LogRetention
  clientKey?: SSEOwnHandlerOptions['clientKey']
  revalidate?: SSERevalidate
}

export const DEFAULT_HANDLER_OPTIONS: ResolvedHandlerOptions = {
  heartbeatMs: 15_000,
  heartbeatText: '',
  heartbeatAs: 'comment',
  headers: {},
  retryMs: 2_000,
  maxLifetimeMs: false,
  maxBufferedBytes: 1_048_576,
  maxMessageBytes: 1_048_576,
  from: 'start',
  retention: { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 },
  pollWaitMs: 20_000,
  resumable: false,
  resumeWindowMs: 30_000,
  leaseMs: 10_000,
  leaveAfterMs: 5_000,
  shutdownMs: 1_000,
  maxConnections: false,
  maxConnectionsPerClient: false,
  trustProxy: false,
  maxPublishPerSecond: false,
}
