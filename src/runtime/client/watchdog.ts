import { childController } from '../shared/abort'
import { MAX_TIMER_MS } from '../shared/rules'
import { watchPage } from './page-life'

/** Bytes that came while nothing ran are read within this time. */
const GRACE_MS = 500

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
 * Aborts a request that takes too long, or falls silent. It looks at the clocks, and not only at its timer: in a hidden tab, or after
 * sleep, timers are late, and what came meanwhile must count.
 */
export function createWatchdog(parent: AbortSignal, limitMs: number | false): Watchdog {
  const own = childController(parent)
  let timer: ReturnType<typeof setTimeout>
  let touchedAt: number
  let touchedAtWall: number
  let barked = false
  let lastChance = false

  function touch(): void {
    touchedAt = performance.now()
    touchedAtWall = Date.now()
  }

  // On some platforms `performance.now()` stands still during sleep. `Date.now()` may be set by hand, which costs a reconnect.
  const leftMs = () => limitMs as number - Math.max(performance.now() - touchedAt, Date.now() - touchedAtWall)

  function arm(ms = leftMs()): void {
    clearTimeout(timer)
    if (limitMs === false || own.signal.aborted) return
    timer = setTimeout(look, Math.min(Math.max(1, ms), MAX_TIMER_MS), GRACE_MS)
  }

  /** A limit that is overdue by more than `latenessMs` was not looked at in time: what is queued gets its chance to be read. */
  function look(latenessMs: number): void {
    const left = leftMs()
    if (left > 1) {
      lastChance = false
      return arm(left)
    }
    if (!lastChance && left < -latenessMs) {
      lastChance = true
      return arm(GRACE_MS)
    }
    barked = true
    own.abort()
  }

  touch()
  arm()
  watchPage(own.signal, (event) => {
    if ((event === 'wake' || event === 'online') && limitMs !== false && !lastChance) look(-Infinity)
  })

  return {
    signal: own.signal,
    get barked() {
      return barked
    },
    touch,
    limit(ms) {
      limitMs = ms
      touch()
      lastChance = false
      arm()
    },
    stop() {
      clearTimeout(timer)
      own.abort()
    },
  }
}
