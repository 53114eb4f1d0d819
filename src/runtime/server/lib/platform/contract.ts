/**
 * What the runtime decides, and not the application. `platform.ts` makes the one object that has it, `workers.ts` has the answers of
 * Cloudflare Workers: what a request begins there (a timer, a stream, an abort signal) is its own. Another request cannot use it, a
 * request may be cancelled without a sign, and nothing may begin where there is no request.
 */
export interface Platform {
  /** See `afterTick` in `tick.ts`. */
  readonly afterTick: (task: () => void) => void
  /** Node's module, where async contexts are to be captured. See `async-context.ts`. */
  readonly asyncHooks?: typeof import('node:async_hooks')
  /** What holds for each connection, whatever the build says of the platform. */
  readonly limits: PlatformLimits
  /** The most background reads in flight, and the most of them that may repeat a read that failed. See `read-gate.ts`. */
  readonly maxReads: number
  readonly maxRepeats: number
  /** A signal of the process, and not of the request that happens to be the first. */
  newSignal(): Pick<AbortController, 'signal' | 'abort'>
  /** Work under way by name, for other requests that want the same to join. Knows nothing where none can. */
  joinable<Work>(): Map<string, Work>
  /** Turns of the event loop in the request that is under way. */
  turns(): Turns
  /** Whether the request that is under way is still there, for others to find out. */
  pulse(): Pulse
  /** Timers that all requests share, made by `make`: one, or one for each member where a timer belongs to its request. */
  timers(make: () => Timers): Timers
  /** Repeats `task` every `ms` milliseconds between `start` and `stop`, or, where no timer outlives its request, when `start` is called again. */
  recurring(task: () => void, ms: number): Recurring
  /**
   * A function that requests call again and again: where they may be gone without a sign, it ends connections of such, and has `look`
   * called, once more a little later where that returns `true`.
   */
  watchAbandoned(connections: Iterable<Abandonable>, look: () => boolean): () => void
  /** Keeps the request alive until `promise` is settled, for as long as the platform allows. Call it while the request is under way; does nothing without one. */
  keepAlive(event: KeptRequest | undefined, promise: Promise<unknown>): void
  /** The request, for what waits longer than its response takes: only where that needs the request, which would stay in memory. */
  outliving(event: KeptRequest | undefined): KeptRequest | undefined
}

/** What the platform does to a connection that our options do not know of. */
export interface PlatformLimits {
  /** A response on which nothing was sent for so long is cut. */
  idleMs?: number
  /** A request without a timer of its own is taken for one that hangs. */
  needsHeartbeat?: boolean
  /** Why, in one sentence, for whoever starts the server. */
  reason?: string
}

/** Runs tasks in the request in which it was made, whichever request hands them over. */
export interface Turns {
  /** Runs `task` one turn later. */
  afterTick(task: () => void): void
  /** A function that runs `task` in that request: at once where that is the caller's, too. */
  callable(task: () => void): () => void
  /** Nothing more will be handed over. What was before is still run. */
  stop(): void
}

export interface Pulse {
  /** Ask again a pulse later where it is `late`, as all timers may be: only then is it `gone`. */
  feel(): 'there' | 'late' | 'gone'
  stop(): void
}

/** Something to do at a time that moves: a heartbeat's moves with every message sent. */
export interface Due {
  /** When {@link Due.fire} is wanted next, in `performance.now()` time. May have moved since it was last asked. */
  dueAt(): number
  fire(now: number): void
}

export interface Timers {
  /** Members: 0 when nothing is left. */
  readonly size: number
  add(due: Due): void
  delete(due: Due): void
}

export interface Recurring {
  start(): void
  stop(): void
}

export interface Abandonable extends Pick<Due, 'dueAt'> {
  abandon(): void
}

/** A request under way, as far as it can be asked to live on. */
export interface KeptRequest {
  waitUntil?: (promise: Promise<unknown>) => void
}
