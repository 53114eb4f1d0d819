import { follow } from '../shared/abort'
import { MAX_TIMER_MS } from './delay'

export interface Watchdog {
  /** Aborted when the limit has passed, or with the parent. */
  readonly signal: AbortSignal
  /** Whether it was the limit. */
  readonly barked: boolean
  /** There was a sign of life. Cheap: the timer is not touched. */
  touch(): void
  /** Sets another limit in milliseconds; `false`: none. Counts from the last sign of life. */
  limit(ms: number | false): void
  stop(): void
}

/**
 * Aborts a request that takes too long, or falls silent. It looks at the clock and not at its timer alone: in a hidden
 * tab, or after sleep, timers are late, and what came meanwhile must count.
 */
export function createWatchdog(parent: AbortSignal, limitMs: number | false): Watchdog {
  const own = follow(parent)
  let timer: ReturnType<typeof setTimeout>
  let touchedAt = performance.now()
  let barked = false

  function arm(): void {
    clearTimeout(timer)
    if (limitMs === false || own.signal.aborted) return
    const leftMs = Math.min(limitMs - (performance.now() - touchedAt), MAX_TIMER_MS)
    timer = setTimeout(() => {
      if (performance.now() - touchedAt < (limitMs as number) - 1) return arm()
      barked = true
      own.abort()
    }, Math.max(1, leftMs))
  }
  arm()

  return {
    signal: own.signal,
    get barked() {
      return barked
    },
    touch() {
      touchedAt = performance.now()
    },
    limit(ms) {
      limitMs = ms
      touchedAt = performance.now()
      arm()
    },
    stop() {
      clearTimeout(timer)
      own.abort()
    },
  }
}
