/** What is to be done once, when something is over. */
export class Cleanups {
  readonly #callbacks = new Set<() => unknown>()
  #over = false

  constructor(private readonly report: (error: unknown) => void) {}

  /** At once when it is over already. Returns what takes it back. The same function twice is two clean-ups. */
  add(callback: () => unknown): () => void {
    if (this.#over) {
      runSafely(callback, this.report)
      return () => {}
    }
    const own = () => callback()
    this.#callbacks.add(own)
    return () => void this.#callbacks.delete(own)
  }

  /** In the order they were given; never a second time. */
  run(): void {
    this.#over = true
    const callbacks = [...this.#callbacks]
    this.#callbacks.clear()
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
