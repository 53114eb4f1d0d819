import type { Due, Platform, Pulse, Timers, Turns } from './contract'

export function isWorkers(): boolean {
  return (globalThis.navigator as { userAgent?: string } | undefined)?.userAgent === 'Cloudflare-Workers'
}

/** Milliseconds by which the timer of a request may be late, until the request counts as gone. */
const ABANDONED_MS = 5_000
const PULSE_MS = 1_000
/** Milliseconds until a request that seems to be gone is checked again: longer than a pulse, as timers may be early. */
const LOOK_AGAIN_MS = 1_200

/** Replaces the signal of a shutdown: Workers are stopped without an announcement. */
const NEVER_ABORTED = { aborted: false, addEventListener() {}, removeEventListener() {} } as unknown as AbortSignal

/** Timer in the request that created it. The timer stops when that request is cancelled, which is the only sign. */
class RequestPulse implements Pulse {
  #at = performance.now()
  #lateSince?: number
  readonly #timer = setInterval(() => this.#beat(), PULSE_MS)

  check(): ReturnType<Pulse['check']> {
    const now = performance.now()
    if (now - this.#at < ABANDONED_MS) return 'there'
    this.#lateSince ??= now
    return now - this.#lateSince < PULSE_MS ? 'late' : 'gone'
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #beat(): void {
    this.#at = performance.now()
    this.#lateSince = undefined
  }
}

/** Relies on this: a promise that another request resolves continues in the request that awaits it. */
class RequestTurns implements Turns {
  #tasks = new Set<() => void>()
  #wake!: () => void
  #over = false

  constructor() {
    void this.#run()
  }

  afterTick(task: () => void): void {
    this.#tasks.add(task)
    this.#wake()
  }

  callable(task: () => void): () => void {
    return () => this.afterTick(task)
  }

  stop(): void {
    this.#over = true
    this.#wake()
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      // A task may pass on another.
      if (this.#tasks.size === 0) await new Promise<void>(resolve => this.#wake = resolve)
      await new Promise(resolve => setTimeout(resolve, 0))
      const tasks = this.#tasks
      this.#tasks = new Set()
      for (const task of tasks) task()
    }
  }
}

/**
 * Timers for each member, in the request that added it. They are never stopped, as another request could not do that: their next turn finds
 * nothing due.
 */
class RequestTimers implements Timers {
  readonly #members = new Map<Due, Due>()

  constructor(private readonly make: () => Timers) {}

  get size(): number {
    return this.#members.size
  }

  add(due: Due): void {
    const member: Due = {
      dueAt: () => this.#members.get(due) === member ? due.dueAt() : Infinity,
      fire: now => due.fire(now),
    }
    this.#members.set(due, member)
    this.make().add(member)
  }

  delete(due: Due): void {
    this.#members.delete(due)
  }
}

/** Map that stays empty: a promise of one request cannot be awaited in another. */
class NothingJoinable<Work> extends Map<string, Work> {
  override set(): this {
    return this
  }
}

/** Cloudflare Workers. */
export const workers: Platform = {
  // A timer would be lost with the publishing request, if that ends first.
  afterTick: task => void Promise.resolve().then(task),
  hasBackground: false,
  limits: { needsHeartbeat: true, reason: 'Cloudflare Workers cancels a request without pending work, so heartbeats cannot be disabled.' },
  sharesRequests: false,
  // A request may be cancelled, and its read never settle.
  maxReads: Infinity,
  maxRepeats: Infinity,
  newSignal: () => ({ signal: NEVER_ABORTED, abort() {} }),
  joinable: () => new NothingJoinable(),
  turns: () => new RequestTurns(),
  pulse: () => new RequestPulse(),
  timers: make => new RequestTimers(make),
  keepAlive: (event, promise) => event?.waitUntil?.(promise),
  outliving: event => event,

  recurring(task, ms) {
    let ranAt = 0
    return {
      start() {
        if (ranAt + ms > performance.now()) return
        ranAt = performance.now()
        task()
      },
      stop() {},
    }
  },

  // Unless a Worker uses the signal of its requests, a client disconnects without a sign, and the timers of its connection stop.
  watchAbandoned(connections, look) {
    let lookedAt = -Infinity
    return function go() {
      const now = performance.now()
      if (now - lookedAt < PULSE_MS) return
      lookedAt = now
      for (const connection of connections) if (connection.dueAt() < now - ABANDONED_MS) connection.abandon()
      if (look()) setTimeout(go, LOOK_AGAIN_MS)
    }
  },
}
