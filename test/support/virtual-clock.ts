import { vi } from 'vitest'

const turn = setImmediate

/** Runs all pending work that needs no time. */
export const settled = (): Promise<void> => new Promise(resolve => turn(resolve))

/** Number of timers that one advance may fire before it counts as a hot loop. */
const MAX_FIRED = 20_000

/** Replaces timers and both clocks, which move only on request. `settled()` runs between any two timers. */
export class VirtualClock {
  wallMs = 1_800_000_000_000
  monotonicMs = 0
  private timers = new Map<number, { at: number, task: () => void }>()
  private last = 0

  install(): void {
    vi.stubGlobal('setTimeout', (task: (...values: unknown[]) => void, ms = 0, ...values: unknown[]) => {
      this.timers.set(++this.last, { at: this.monotonicMs + Math.max(1, ms), task: () => task(...values) })
      return this.last
    })
    vi.stubGlobal('clearTimeout', (timer: number) => void this.timers.delete(timer))
    vi.spyOn(Date, 'now').mockImplementation(() => this.wallMs)
    vi.spyOn(performance, 'now').mockImplementation(() => this.monotonicMs)
  }

  get pending(): number {
    return this.timers.size
  }

  async advance(ms: number): Promise<void> {
    const until = this.monotonicMs + ms
    for (let fired = 0; ; fired++) {
      if (fired > MAX_FIRED) throw new Error(`A hot loop: ${fired} timers within ${ms} ms`)
      const next = [...this.timers].filter(([, { at }]) => at <= until).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0]
      this.move((next?.[1].at ?? until) - this.monotonicMs)
      if (!next) return
      this.timers.delete(next[0])
      next[1].task()
      await settled()
    }
  }

  /** Simulates a sleeping machine: only the wall clock moves. */
  sleep(ms: number): void {
    this.wallMs += ms
  }

  private move(ms: number): void {
    this.monotonicMs += ms
    this.wallMs += ms
  }
}
