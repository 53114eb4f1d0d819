/** Never changed. */
const NONE: (() => unknown)[] = []

export interface CleanupContext {
  /** Where errors go that nobody awaits. */
  report(error: unknown): void
  /** Given each promise that a clean-up returns: a shutdown waits for it. Such a promise never rejects. */
  track(promise: Promise<unknown>): void
}

/** Callbacks that run once, when something is over. */
export class Cleanups {
  /** Most connections have one, for which a set would be much. */
  #callbacks: (() => unknown)[] = NONE
  #over = false

  constructor(private readonly context: CleanupContext) {}

  /** Runs `callback` at once when it is over already. Returns a function that takes it back. The same function twice is two clean-ups. */
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

  /** In the order they were given; never a second time. */
  run(): void {
    this.#over = true
    const callbacks = this.#callbacks
    this.#callbacks = NONE
    for (const callback of callbacks) runSafely(callback, this.context)
  }
}

/** One clean-up that throws, or rejects, does not keep the others from running. */
export function runSafely(cleanup: () => unknown, { report, track }: CleanupContext): void {
  try {
    const result = cleanup()
    if (result instanceof Promise) track(result.catch(error => report(error)))
  }
  catch (error) {
    report(error)
  }
}
