import type { Verdict } from '../verdict'
import { inStorage } from '../verdict'

/** Delay before the first probe of a stream while polling, in milliseconds. It doubles with each silent probe, up to the maximum. */
const PROBE_MIN_MS = 60_000
const PROBE_MAX_MS = 900_000

/** First verdict, or the next one after a probe that was silent. */
export function nextVerdict(last?: Verdict): Verdict {
  const probeWaitMs = last ? Math.min(last.probeWaitMs * 2, PROBE_MAX_MS) : PROBE_MIN_MS
  return { probeAt: Date.now() + probeWaitMs, probeWaitMs }
}

/** Milliseconds until the next probe. If the clock was set back, at most the verdict's own wait. */
export function probeDelayMs({ probeAt, probeWaitMs }: Verdict): number {
  return Math.max(0, Math.min(probeAt - Date.now(), probeWaitMs))
}

/** Stores the verdict for the browser session, so that the next page starts with polling. */
export function rememberVerdict(url: string, verdict: Verdict): void {
  inStorage(url, (storage, key) => storage.setItem(key, JSON.stringify(verdict)))
}
