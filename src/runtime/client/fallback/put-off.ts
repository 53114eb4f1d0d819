import type { Verdict } from '../verdict'
import { inStorage } from '../verdict'

/** While polling, the stream is tried again after this long, then after twice as long, up to the maximum. */
const PROBE_MIN_MS = 60_000
const PROBE_MAX_MS = 900_000

/** The first, or the next after a stream that is still mute. */
export function nextVerdict(last?: Verdict): Verdict {
  const probeWaitMs = last ? Math.min(last.probeWaitMs * 2, PROBE_MAX_MS) : PROBE_MIN_MS
  return { probeAt: Date.now() + probeWaitMs, probeWaitMs }
}

/** How long until the next probe. A clock that was set back puts it off by no more than its wait. */
export function probeDelayMs({ probeAt, probeWaitMs }: Verdict): number {
  return Math.max(0, Math.min(probeAt - Date.now(), probeWaitMs))
}

/** For the browser session, so that the next page need not find out again. */
export function rememberVerdict(url: string, verdict: Verdict): void {
  inStorage(url, (storage, key) => storage.setItem(key, JSON.stringify(verdict)))
}
