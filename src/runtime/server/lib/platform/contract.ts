/**
 * The runtime that the server runs on, as one object: `platform.ts` chooses it, and callers need not know which it is. Requests share
 * a process everywhere but on Cloudflare Workers (`workers.ts`). There, a request owns the timers, streams and signals that it begins.
 * Another request cannot use them, a request may be cancelled without a sign, and nothing may begin without a request.
 */
export interface Platform {
  /** `afterTick` of `tick.ts`. */
  readonly afterTick: (task: () => void) => void
  /** Node's module, for `async-context.ts`. Absent where async contexts need not be captured. */
  readonly asyncHooks?: typeof import('node:async_hooks')
  /** Node's module, for `traces.ts`. Absent where there is none. */
  readonly diagnostics?: Pick<typeof import('node:diagnostics_channel'), 'channel'>
  /** Whether work can continue that belongs to no request, such as a subscription of the process. */
  readonly hasBackground: boolean
  /** Limits of every connection, whichever preset the application was built with. */
  readonly limits: PlatformLimits
  /** Whether promises and timers of one request may serve another, and outlive it. */
  readonly sharesRequests: boolean
  /** Background reads that may be in flight, for `read-gate.ts`. */
  readonly maxReads: number
  /** Background reads in flight that may retry a failed read. */
  readonly maxRepeats: number
  /** Returns a signal that belongs to the process, even when a request creates it. */
  newSignal(): Pick<AbortController, 'signal' | 'abort'>
  /** Work in flight, by name, that other requests may join. Stays empty where requests cannot join each other. */
  joinable<Work>(): Map<string, Work>
  /** Turns of the event loop in the current request. */
  turns(): Turns
  /** A sign of life of the current request, for other requests to check. */
  pulse(): Pulse
  /** Timers that all requests may use. `make` is called once, or for each member where a timer belongs to its request. */
  timers(make: () => Timers): Timers
  /** Repeats `task` every `ms` milliseconds until it is stopped. Where no timer outlives its request, `start` runs it when it is due. */
  recurring(task: () => void, ms: number): { start(): void, stop(): void }
  /**
   * Returns a function for requests to call now and then. Where a request may be cancelled without a sign, the function ends overdue
   * connections and calls `look`, at most once a second. If `look` returns `true`, it is called again a little later.
   */
  watchAbandoned(connections: Iterable<Pick<Due, 'dueAt'> & { abandon(): void }>, look: () => boolean): () => void
  /** Keeps the request alive until `promise` is settled, for as long as the platform allows. Call it before the request is over. Does nothing without one. */
  keepAlive(event: KeptRequest | undefined, promise: Promise<unknown>): void
  /** The request, for work that outlives its response. `undefined` where that works without it: a request that is kept costs memory. */
  outliving(event: KeptRequest | undefined): KeptRequest | undefined
}

/** Limits that the platform sets on each connection. */
export interface PlatformLimits {
  /** Idle time in milliseconds after which the platform cuts a response. */
  idleMs?: number
  /** Whether the platform cancels a request without a timer of its own, which seems to hang. */
  needsHeartbeat?: boolean
  /** Reason in one sentence, for the log at the start of the server. */
  reason?: string
}

/** Runs tasks in the request that created it, whichever request passes them on. */
export interface Turns {
  /** Runs `task` one turn later. */
  afterTick(task: () => void): void
  /** Returns a function that runs `task` in that request; at once if any request may run it. */
  callable(task: () => void): () => void
  /** Stops after the tasks that were passed on before. */
  stop(): void
}

export interface Pulse {
  /** Checks the request. If it is `late`, as all timers may be, check again a pulse later: only then is it `gone`. */
  check(): 'there' | 'late' | 'gone'
  stop(): void
}

/** Task whose due time moves: a heartbeat's moves with every message sent. */
export interface Due {
  /** Next time for {@link Due.fire}, as `performance.now()`. It may change at any time. */
  dueAt(): number
  fire(now: number): void
}

/** Runs its members when they are due. */
export interface Timers {
  /** Number of members: 0 when none is left. */
  readonly size: number
  add(due: Due): void
  delete(due: Due): void
}

/** Request in flight, with the function that prolongs its life, if the platform has one. */
export interface KeptRequest {
  waitUntil?: (promise: Promise<unknown>) => void
}
