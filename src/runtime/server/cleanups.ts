/** Never changed. */
const NONE: (() => unknown)[] = []

/** Callbacks that run once, when something is over. */
export class Cleanups {
  /** Most connections have one, for which a set would be much. */
  #callbacks: (() => unknown)[] = NONE
  #over = false

  constructor(private readonly report: (error: unknown) => void) {}

  /** Runs `callback` at once when it is over already. Returns a function that takes it back. The same function twice is two clean-ups. */
  add(callback: () => unknown): () => void {
    if (this.#over) {
      runSafely(callback, this.report)
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
    for (const callback of callbacks) runSafely(callback, this.report)
  }
}

/** One clean-up that throws, or rejects, does not keep the others from running. */
export function runSafely(cleanup: () => unknown, report: (error: unknown) => void): void {
  try {
    const result = cleanup()
    if (result instanceof Promise) result.catch(report)
  }
  catch (error) {
    report(error)
  }
}
