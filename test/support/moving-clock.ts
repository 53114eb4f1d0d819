import { afterEach, beforeEach, vi } from 'vitest'

interface Waiting {
  at: number
  task: () => void
  real: unknown
}

/** Beyond this, a real timer fires at once. */
const MAX_TIMER_MS = 0x7FFFFFFF

/** Time by which `until` moves the clocks between two checks, and in all. */
const STEP_MS = 25
const MAX_UNTIL_MS = 60_000

/**
 * Real time that a test can move forward, for code over real sockets: bytes take their real time, and the test does not wait for
 * limits of seconds. Timers that were set earlier still fire in real time, only sooner.
 */
export class MovingClock {
  #aheadMs = 0
  readonly #waiting = new Map<unknown, Waiting>()
  #set!: typeof setTimeout
  #clear!: typeof clearTimeout
  #now!: () => number

  install(): void {
    // Browsers refuse to run them on another object.
    const set = this.#set = globalThis.setTimeout.bind(globalThis) as typeof setTimeout
    const clear = this.#clear = globalThis.clearTimeout.bind(globalThis)
    const monotonic = performance.now.bind(performance)
    const wall = Date.now.bind(Date)
    this.#now = () => monotonic() + this.#aheadMs
    vi.stubGlobal('setTimeout', (task: (...values: unknown[]) => void, ms = 0, ...values: unknown[]) => {
      const waiting: Waiting = {
        at: this.#now() + (ms > MAX_TIMER_MS ? 1 : Math.max(1, ms)),
        task: () => {
          this.#waiting.delete(timer)
          task(...values)
        },
        real: undefined,
      }
      const timer = waiting.real = set(waiting.task, ms)
      this.#waiting.set(timer, waiting)
      return timer
    })
    vi.stubGlobal('clearTimeout', (timer: unknown) => {
      clear(this.#waiting.get(timer)?.real as number ?? timer)
      this.#waiting.delete(timer)
    })
    vi.spyOn(performance, 'now').mockImplementation(this.#now)
    vi.spyOn(Date, 'now').mockImplementation(() => wall() + this.#aheadMs)
  }

  uninstall(): void {
    vi.mocked(performance.now).mockRestore()
    vi.mocked(Date.now).mockRestore()
    vi.unstubAllGlobals()
  }

  /** Moves the clocks forward. Resolves when every timer that is due by then has fired, and its effects in this process are complete. */
  async move(ms: number): Promise<void> {
    this.#aheadMs += ms
    const now = this.#now()
    // In the order in which they are due: timers of equal length fire in the order in which they were set.
    for (const waiting of [...this.#waiting.values()].sort((a, b) => a.at - b.at)) {
      this.#clear(waiting.real as number)
      waiting.real = this.#set(waiting.task, Math.max(1, waiting.at - now))
    }
    // A due timer fires, and may set another that is due at once.
    for (let turn = 0; turn < 5; turn++) await new Promise<void>(resolve => this.#set(resolve, 1))
  }

  /** Moves the clocks in small steps until `check` does not throw, like `eventually` for long waits. */
  async until(check: () => unknown): Promise<unknown> {
    const giveUpAt = performance.now() + MAX_UNTIL_MS
    while (true) {
      try {
        return await check()
      }
      catch (error) {
        if (performance.now() > giveUpAt) throw error
      }
      await this.move(STEP_MS)
    }
  }
}

/** A {@link MovingClock} for each test of the file. */
export function useMovingClock(): Pick<MovingClock, 'move' | 'until'> {
  let clock: MovingClock
  beforeEach(() => {
    clock = new MovingClock()
    clock.install()
  })
  afterEach(() => clock.uninstall())
  return { move: ms => clock.move(ms), until: check => clock.until(check) }
}
