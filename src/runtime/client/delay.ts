import { childController } from '../shared/abort'
import { MAX_TIMER_MS } from '../shared/rules'
import { watchPage } from './page-life'

/**
 * Resolves after `ms` with `false`, or at once when the signal is aborted. With `wakeOnline`, also resolves with `true` as soon as the browser
 * is online again. Timers stand still while a page sleeps, so a page that wakes compares the clock.
 */
export function delay(ms: number, signal: AbortSignal, wakeOnline?: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const own = childController(signal)
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
