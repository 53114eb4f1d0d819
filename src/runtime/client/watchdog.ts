/**
 * Aborts a request that takes too long, or falls silent. It looks at the clock and not at its timer alone: in a hidden
 * tab, or after sleep, timers are late, and what came meanwhile must count.
 */
export class Watchdog {
  /** Whether it was this that aborted. */
  barked = false
  readonly #controller = new AbortController()
  #touchedAt = performance.now()
  #limitMs: number | false
  #timer?: ReturnType<typeof setTimeout>

  constructor(private readonly parent: AbortSignal, limitMs: number | false) {
    this.#limitMs = limitMs
    if (parent.aborted) this.#controller.abort()
    parent.addEventListener('abort', this.#abort)
    this.#arm()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get limitMs(): number | false {
    return this.#limitMs
  }

  set limitMs(limitMs: number | false) {
    this.#limitMs = limitMs
    this.#arm()
  }

  /** There was a sign of life. Cheap: the timer is not touched. */
  touch(): void {
    this.#touchedAt = performance.now()
  }

  /** Does not watch until `busy` is done. */
  async pause(busy: Promise<void>): Promise<void> {
    clearTimeout(this.#timer)
    await busy
    this.touch()
    this.#arm()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.parent.removeEventListener('abort', this.#abort)
  }

  readonly #abort = () => {
    this.stop()
    this.#controller.abort()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    if (this.#limitMs === false || this.signal.aborted) return
    this.#timer = setTimeout(() => {
      if (performance.now() - this.#touchedAt < (this.#limitMs as number) - 1) return this.#arm()
      this.barked = true
      this.#abort()
    }, Math.max(1, this.#limitMs - (performance.now() - this.#touchedAt)))
  }
}
