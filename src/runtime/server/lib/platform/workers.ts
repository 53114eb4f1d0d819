import type { Abandonable, Due, Platform, Pulse, Recurring, Timers, Turns } from './contract'

export function isWorkers(): boolean {
  return (globalThis.navigator as { userAgent?: string } | undefined)?.userAgent === 'Cloudflare-Workers'
}

/** How late the timer of a request may be until it counts as one that is gone. */
const ABANDONED_MS = 5_000
const PULSE_MS = 1_000
/** When to look again at one that seems to be gone: longer than a pulse, as timers may be early. */
const LOOK_AGAIN_MS = 1_200

/** Stands in for the signal that a process is about to go: nobody ever says so. Workers are only stopped. */
const NEVER_ABORTED = { aborted: false, addEventListener() {}, removeEventListener() {} } as unknown as AbortSignal

/** A timer in the request in which it was made: when it is cancelled, nobody is told, and the timer stops. */
class RequestPulse implements Pulse {
  #at = performance.now()
  #lateSince?: number
  readonly #timer = setInterval(() => this.#beat(), PULSE_MS)

  feel(): ReturnType<Pulse['feel']> {
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

/** A promise that another request resolves goes on in the one that awaits it. */
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
      // A task may hand over another.
      if (this.#tasks.size === 0) await new Promise<void>(resolve => this.#wake = resolve)
      await new Promise(resolve => setTimeout(resolve, 0))
      const tasks = this.#tasks
      this.#tasks = new Set()
      for (const task of tasks) task()
    }
  }
}

/** Timers of each member's own, in the request that added it. They are never stopped, as another request could not do that: their next turn finds nothing to do. */
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

/** Keeps nothing: a promise of one request cannot be awaited in another. */
class NothingJoinable<Work> extends Map<string, Work> {
  override set(): this {
    return this
  }
}

/** Does its task when it is started again, at most once in `ms` milliseconds. */
class WhenStarted implements Recurring {
  #at = 0

  constructor(private readonly task: () => void, private readonly ms: number) {}

  start(): void {
    if (this.#at + this.ms > performance.now()) return
    this.#at = performance.now()
    this.task()
  }

  stop(): void {}
}

/** Ends what is long overdue: unless a Worker asks for the signal of its requests, nobody says that a client has left, and its timers stop. */
function endAbandoned(connections: Iterable<Abandonable>): void {
  const longAgo = performance.now() - ABANDONED_MS
  for (const connection of connections) if (connection.dueAt() < longAgo) connection.abandon()
}

/** Cloudflare Workers. */
export const workers: Platform = {
  // A timer would be forgotten with the request that publishes, if that is over first.
  afterTick: task => void Promise.resolve().then(task),
  limits: { needsHeartbeat: true, reason: 'Cloudflare Workers cancels a request that has nothing to wait for, so that streams have a heartbeat in any case.' },
  // A request may be cancelled and its read never settle.
  maxReads: Infinity,
  maxRepeats: Infinity,
  newSignal: () => ({ signal: NEVER_ABORTED, abort() {} }),
  joinable: () => new NothingJoinable(),
  turns: () => new RequestTurns(),
  pulse: () => new RequestPulse(),
  timers: make => new RequestTimers(make),
  recurring: (task, ms) => new WhenStarted(task, ms),
  keepAlive: (event, promise) => event?.waitUntil?.(promise),
  outliving: event => event,

  watchAbandoned(connections, look) {
    let lookedAt = -Infinity
    return function go() {
      const now = performance.now()
      if (now - lookedAt < PULSE_MS) return
      lookedAt = now
      endAbandoned(connections)
      if (look()) setTimeout(go, LOOK_AGAIN_MS)
    }
  },
}
