import type { H3Event } from 'h3'

/** What a channel keeps. Whichever bound is reached first removes the oldest messages. */
export interface SSERetention {
  /** Messages kept. Default 1000. At least 1. */
  maxMessages: number
  /** Age of the oldest message kept, in milliseconds. Default 3,600,000 (one hour). At least 1. */
  maxAgeMs: number
  /** Size of the messages kept, in bytes of their data as UTF-8. The newest message is always kept. Default 67,108,864 (64 MiB). At least 1. */
  maxBytes: number
}

/** The retention that a writer gives to the driver. */
export interface LogRetention extends SSERetention {
  /**
   * The fields that the handle names. They become the channel's own and stay that until another handle names them, or the channel is
   * deleted. The other fields are defaults, for fields that no handle has named. Default: none.
   */
  named?: Partial<SSERetention>
}

/** Options of one handler. Each is also a module option under `sse` in `nuxt.config`, which the handler's own overrides. */
export interface SSEHandlerOptions {
  /**
   * The longest silence on a stream, in milliseconds: a comment line is sent when nothing else was.
   * Stay below the idle limit of whatever stands in between (nginx and AWS load balancers: 60 s).
   * @default 15000. `false` sends none; a peer that vanished is then only noticed by the next message.
   */
  heartbeatMs?: number | false
  /** Text of the comment that a heartbeat is: one line of at most 1000 characters. @default '': the fewest bytes */
  heartbeatText?: string
  /**
   * Form of a heartbeat. `'control'` sends `{"type":"heartbeat"}` as an `sse` message without an ID, for clients that cannot see comments, such
   * as a plain `EventSource` that watches for silence; `heartbeatText` has no effect then. `useSSE` and `openSSE` take either. @default 'comment'
   */
  heartbeatAs?: 'comment' | 'control'
  /**
   * Headers that are added to streams and polls, where the status is 200. `vary` is merged. `cache-control` replaces ours, and must have
   * `no-cache` or `no-store`. `content-type`, `content-length`, `set-cookie` and hop-by-hop headers are refused: `INVALID_OPTION`. Those of a
   * handler are added to those of the module. @default {}
   */
  headers?: Record<string, string>
  /** What a client is told to wait before it reconnects, in milliseconds, with ±50 % jitter per connection. @default 2000 */
  retryMs?: number
  /**
   * Ends a stream after this many milliseconds (jittered down to 80 %) with a `leave`, so that the client comes back.
   * For platforms with a maximum duration. @default false: no limit
   */
  maxLifetimeMs?: number | false
  /**
   * How much may be buffered for one slow reader, in bytes. Until there is room, a generator is not pulled and an awaited `push()`
   * waits; pushes that are not awaited end the connection with a `leave` when they pass it. A channel needs no buffer: its log is
   * one. @default 1048576 (1 MiB)
   */
  maxBufferedBytes?: number
  /** Size of one message's data as JSON, in bytes of UTF-8. Larger ones are refused: `MESSAGE_TOO_LARGE`. @default 1048576 (1 MiB) */
  maxMessageBytes?: number
  /** Where a newcomer without a position starts on a channel: at the oldest message kept, or with what comes next. @default 'start' */
  from?: 'start' | 'now'
  /** What a channel keeps. `useSSEChannel(name, { retention })` overrides it, field by field. @default { maxMessages: 1000, maxAgeMs: 3600000, maxBytes: 67108864 } */
  retention?: Partial<SSERetention>
  /** How long a poll waits for news, in milliseconds; also the cap of `?waitMs=`. 0 answers at once. @default 20000 */
  pollWaitMs?: number
  /**
   * The most open connections (streams, and polls until their answer was taken). Beyond it, newcomers get 503 `TOO_MANY_CONNECTIONS` with
   * `Retry-After`; nobody is evicted. As a module option it bounds the process; on a handler it bounds that handler as well, and
   * `false` exempts it. A client that reconnects may find its place still taken for as long as its old socket lives. @default false: no limit
   */
  maxConnections?: number | false
  /** The same for each client, with 429 `TOO_MANY_CONNECTIONS_PER_CLIENT`. A client is an address (of IPv6 its first 64 bits) unless `clientKey` says more. @default false: no limit */
  maxConnectionsPerClient?: number | false
  /**
   * Runs what a handler returns (a generator, any iterable, a `ReadableStream`) once for each new client, behind a channel of its
   * own: a client that comes back, to any instance, continues that run instead of starting another, and may poll. The handler's own
   * checks run again each time. The channel keeps what `retention` says. No effect on channels and push style. @default false
   */
  resumable?: boolean
  /** How long such a run goes on without a reader before it is stopped, in milliseconds. @default 30000 */
  resumeWindowMs?: number
  /**
   * How long a `channel.run` keeps its channel without a sign of life from its process, which gives one every third of that, in
   * milliseconds. If the process dies, readers are told, or another process takes over, within twice the time. Make it longer than
   * an outage of Redis that a run should survive. Module option: on a handler it has no effect. At least 300. @default 10000
   */
  leaseMs?: number
  /**
   * How long a shutdown waits for what it sets off, in milliseconds from the signal: clean-ups that return a promise, generators that are told
   * to return, publishes in flight, and producers (`channel.pipe`, `channel.run`). Producers are stopped then, and their readers are told
   * (`SHUTTING_DOWN`), or another process takes over. 0 does not wait. Module option: on a handler it has no effect. @default 1000
   */
  shutdownMs?: number
  /**
   * How many proxies of your own stand in front: a client's address is the entry that the outermost of them added to
   * `X-Forwarded-For`. Entries to the left of it are whatever a stranger wrote. @default false: the header is not believed
   */
  trustProxy?: number | false
  /**
   * The most messages a second that this process may publish to one channel; beyond it, `publish` rejects at once with `PUBLISH_RATE`.
   * `pipe` and `run`, which wait for the driver anyway, are not limited. Module option: on a handler it has no effect. @default false: no limit
   */
  maxPublishPerSecond?: number | false
}

/** The options of a handler: also those that are functions, which cannot come from `nuxt.config`. */
export interface SSEOwnHandlerOptions extends SSEHandlerOptions {
  /**
   * Who a client is: a user's or session's id. `maxConnectionsPerClient` counts by it (`undefined`: not limited), and a `resumable` run is
   * only continued by the client that began it. @default the client's address for the limit, and anybody with the position for a run
   */
  clientKey?: (event: H3Event) => string | undefined
  /**
   * Asks `check` every `everyMs` milliseconds (the first time jittered down to 80 %) whether an open stream may go on.
   * `false`, `null` (no session, as many say it), or an error made to be shown (`SSEError`, `createError`), ends it with `error` (401 `UNAUTHORIZED`, or the
   * error's own code and status; not retried). `'leave'` ends it with `leave`: the client comes back, through the handler's own
   * checks, with a fresh token in place of one that has expired. Any other error, or no answer before the next check is due, is logged,
   * and the stream goes on; after three in a row it ends with 503 `REVALIDATION_FAILED`, and the client may come back. Checks never overlap.
   */
  revalidate?: SSERevalidate
}

export interface SSERevalidate {
  /** Whole milliseconds, at least 1. */
  everyMs: number
  /** Returns or resolves with `false`, `'leave'`, or anything else for "go on". */
  check: (event: H3Event) => unknown
}

/** The same with nothing left open: what the rest of the server works with. */
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
  shutdownMs: 1_000,
  maxConnections: false,
  maxConnectionsPerClient: false,
  trustProxy: false,
  maxPublishPerSecond: false,
}
