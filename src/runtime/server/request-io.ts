/**
 * On Cloudflare Workers what a request begins (a timer, a stream, an abort signal) is its own: another request cannot use it, a
 * timer is forgotten when its request is over, and nothing may begin where there is no request. Elsewhere none of this holds.
 */
export const REQUESTS_OWN_IO = (globalThis.navigator as { userAgent?: string } | undefined)?.userAgent === 'Cloudflare-Workers'

/** Stands in for the signal that a process is about to go, where nobody ever says so. Workers are only stopped. */
export const NEVER_ABORTED = { aborted: false, addEventListener() {}, removeEventListener() {} } as unknown as AbortSignal

/** How late the timer of a request may be until it counts as one that is gone. */
const ABANDONED_MS = 5_000

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
      await new Promise<void>(resolve => this.#wake = resolve)
      await new Promise(resolve => setTimeout(resolve, 0))
      const tasks = this.#tasks
      this.#tasks = new Set()
      for (const task of tasks) task()
    }
  }
}
