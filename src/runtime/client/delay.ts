import { follow } from '../shared/abort'

/** Timers hold 31 bits; beyond, they fire at once, and a wait that should be endless becomes a hot loop. */
export const MAX_TIMER_MS = 0x7FFFFFFF

/**
 * Resolves after `ms`, or at once when the signal is aborted or, if `wakeOnline`, when the browser is back on line: only
 * then with `true`.
 */
export function delay(ms: number, signal: AbortSignal, wakeOnline?: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const own = follow(signal)
    const timer = setTimeout(done, Math.min(ms, MAX_TIMER_MS))
    let online = false
    function done(): void {
      own.abort()
      clearTimeout(timer)
      resolve(online)
    }
    if (own.signal.aborted) return done()
    own.signal.addEventListener('abort', done)
    if (wakeOnline) globalThis.addEventListener?.('online', () => {
      online = true
      done()
    }, { signal: own.signal })
  })
}
