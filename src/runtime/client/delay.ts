import { follow } from '../shared/abort'
import { watchPage } from './page-life'

/** Timers hold 31 bits; beyond, they fire at once, and a wait that should be endless becomes a hot loop. */
export const MAX_TIMER_MS = 0x7FFFFFFF

/**
 * Resolves after `ms`, or at once when the signal is aborted or, if `wakeOnline`, when the browser is back on line: only
 * then with `true`. A page that wakes looks at the clock, since timers stand still while it sleeps.
 */
export function delay(ms: number, signal: AbortSignal, wakeOnline?: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const own = follow(signal)
    const dueAt = Date.now() + ms
    const done = (online: boolean) => {
      resolve(online)
      clearTimeout(timer)
      own.abort()
    }
    const timer = setTimeout(done, Math.min(ms, MAX_TIMER_MS), false)
    if (own.signal.aborted) return done(false)
    own.signal.addEventListener('abort', () => done(false))
    watchPage(own.signal, (event) => {
      if (event === 'online' && wakeOnline) done(true)
      else if (event === 'wake' && Date.now() >= dueAt) done(false)
    })
  })
}
