import { childController } from '../shared/abort'
import { MAX_TIMER_MS } from '../shared/rules'
import { watchPage } from './page-life'

/** Time to read bytes that arrived while the page did not run, in milliseconds. */
const GRACE_MS = 500

/** Time limit of one request. */
export interface Watchdog {
  /** Aborted when the limit has passed, or with the parent. */
  readonly signal: AbortSignal
  /** Whether the limit has passed. */
  readonly expired: boolean
  /** Restarts the limit. Cheap: the timer stays as it is. */
  touch(): void
  /** Sets another limit in milliseconds, which begins now. `false`: no limit. */
  limit(ms: number | false): void
  /** Ends the watch, and aborts the signal. */
  stop(): void
}

/**
 * Aborts a request that takes too long or falls silent. It compares clocks instead of trusting its timer: in a hidden tab, or after sleep,
 * timers are late, and bytes that arrived meanwhile must count.
 */
export function createWatchdog(parent: AbortSignal, limitMs: number | false): Watchdog {
  const own = childController(parent)
  let timer: ReturnType<typeof setTimeout>
  let touchedAt: number
  let touchedAtWall: number
  let expired = false
  let lastChance = false

  function touch(): void {
    touchedAt = performance.now()
    touchedAtWall = Date.now()
  }

  // On some platforms `performance.now()` stands still during sleep. The system clock can be changed, which costs one reconnect.
  const leftMs = () => limitMs as number - Math.max(performance.now() - touchedAt, Date.now() - touchedAtWall)

  function arm(ms = leftMs()): void {
    clearTimeout(timer)
    if (limitMs === false || own.signal.aborted) return
    timer = setTimeout(look, Math.min(Math.max(1, ms), MAX_TIMER_MS), GRACE_MS)
  }

  /** Aborts if the limit has passed. If this runs more than `latenessMs` late, bytes that are queued first get time to be read. */
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
    expired = true
    own.abort()
  }

  touch()
  arm()
  watchPage(own.signal, (event) => {
    if ((event === 'wake' || event === 'online') && limitMs !== false && !lastChance) look(-Infinity)
  })

  return {
    signal: own.signal,
    get expired() {
      return expired
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
