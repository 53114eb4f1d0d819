/** Shared by all instances, and never changed. */
const NONE: (() => unknown)[] = []

export interface CleanupContext {
  /** Reports the error of a clean-up. */
  report(error: unknown): void
  /** Receives each promise that a clean-up returns. It never rejects, and a shutdown waits for it. */
  track(promise: Promise<unknown>): void
}

/** Callbacks that run once, at the end. */
export class Cleanups {
  /** Most connections have one callback: a set for each would cost more memory. */
  #callbacks: (() => unknown)[] = NONE
  #over = false

  constructor(private readonly context: CleanupContext) {}

  /**
   * Adds a callback, or runs it at once if the end has come already. The returned function removes it. The same function added twice runs
   * twice.
   */
  add(callback: () => unknown): () => void {
    if (this.#over) {
      runSafely(callback, this.context)
      return () => {}
    }
    if (this.#callbacks === NONE) this.#callbacks = [callback]
    else this.#callbacks.push(callback)
    let added = true
    return () => {
      const index = added ? this.#callbacks.indexOf(callback) : -1
      if (index !== -1) this.#callbacks.splice(index, 1)
      added = false
    }
  }

  /** Runs the callbacks in the order in which they were added. A second call does nothing. */
  run(): void {
    this.#over = true
    const callbacks = this.#callbacks
    this.#callbacks = NONE
    for (const callback of callbacks) runSafely(callback, this.context)
  }
}

/** Runs a clean-up and reports its error, so that the other clean-ups still run. */
export function runSafely(cleanup: () => unknown, { report, track }: CleanupContext): void {
  try {
    const result = cleanup()
    if (result instanceof Promise) track(result.catch(error => report(error)))
  }
  catch (error) {
    report(error)
  }
}
