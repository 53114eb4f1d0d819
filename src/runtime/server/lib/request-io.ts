/**
 * On Cloudflare Workers what a request begins (a timer, a stream, an abort signal) is its own: another request cannot use it, a
 * timer is forgotten when its request is over, and nothing may begin where there is no request. Elsewhere none of this holds.
 */
export const REQUESTS_OWN_IO = (globalThis.navigator as { userAgent?: string } | undefined)?.userAgent === 'Cloudflare-Workers'

/** Stands in for the signal that a process is about to go, where nobody ever says so. Workers are only stopped. */
export const NEVER_ABORTED = { aborted: false, addEventListener() {}, removeEventListener() {} } as unknown as AbortSignal

/** How late the timer of a request may be until it counts as one that is gone. */
const ABANDONED_MS = 5_000
const PULSE_MS = 1_000
/** When to look again at one that seems to be gone: longer than a pulse, as timers may be early. */
const LOOK_AGAIN_MS = 1_200

/**
 * A timer in the request in which it was made, which tells the others whether that is still there: a platform that cancels a request
 * says so to nobody. Where requests own nothing there is no timer, and it is always there.
 */
export class Pulse {
  #at = performance.now()
  #lateSince?: number
  readonly #timer = REQUESTS_OWN_IO ? setInterval(() => this.#beat(), PULSE_MS) : undefined

  /** Ask again a pulse later where it is `late`, as all timers may be: only then is it `gone`. */
  feel(): 'there' | 'late' | 'gone' {
    const now = performance.now()
    if (this.#timer === undefined || now - this.#at < ABANDONED_MS) return 'there'
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

/** Has `look` called at most once in the time of a {@link Pulse}, and once more a pulse later where it returns that it must look again. */
export function everyPulse(look: () => boolean): () => void {
  let lookedAt = -Infinity
  return function go() {
    const now = performance.now()
    if (now - lookedAt < PULSE_MS) return
    lookedAt = now
    if (look()) setTimeout(go, LOOK_AGAIN_MS)
  }
}

/** Ends what is long overdue: unless a Worker asks for the signal of its requests, nobody says that a client has left, and its timers stop. */
export function endAbandoned(connections: Iterable<{ dueAt(): number, abandon(): void }>): void {
  const longAgo = performance.now() - ABANDONED_MS
  for (const connection of connections) if (connection.dueAt() < longAgo) connection.abandon()
}

/**
 * Runs tasks one turn later in the request in which it was made, whichever request hands them over: a promise that another
 * request resolves goes on in the one that awaits it.
 */
export class RequestTurns {
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

  /** What was handed over before is still run. */
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

/** A task that is done in the request that makes this, one turn later, whichever request asks for it. Where requests own nothing, at once. */
export class OwnTask {
  readonly #turns = REQUESTS_OWN_IO ? new RequestTurns() : undefined
  readonly #pulse = new Pulse()

  constructor(private readonly task: () => void) {}

  /** `false` when that request is gone: there is no need to ask again. */
  run(): boolean {
    if (this.#pulse.feel() === 'gone') return false
    if (this.#turns) this.#turns.afterTick(this.task)
    else this.task()
    return true
  }

  /** Nobody will ask for it any more. */
  stop(): void {
    this.#turns?.stop()
    this.#pulse.stop()
  }
}

/** A request under way, as far as it can be asked to live on. */
export interface KeptRequest {
  waitUntil?: (promise: Promise<unknown>) => void
}

/** By this name Vercel says of which request one is a part: it is what `waitUntil` of its package `@vercel/functions` looks at. */
const VERCEL_REQUEST = Symbol.for('@vercel/request-context')

/**
 * Has the platform keep the request alive until `promise` is settled, for as long as it allows: without, it may freeze or cancel what goes on
 * behind the response. Nothing without a request. Call it while that is under way.
 */
export function keepAlive(event: KeptRequest | undefined, promise: Promise<unknown>): void {
  if (!event) return
  event.waitUntil?.(promise)
  // Nitro's server for Vercel's functions hands on none: its own is a list that nobody looks at.
  const vercel = globalThis as { [VERCEL_REQUEST]?: { get?: () => KeptRequest | undefined } }
  vercel[VERCEL_REQUEST]?.get?.()?.waitUntil?.(promise)
}
