/** A controller that is aborted with its parent. Abort it when it is done with: that takes it off the parent's list. */
export function follow(parent: AbortSignal): AbortController {
  const controller = new AbortController()
  if (parent.aborted) controller.abort()
  parent.addEventListener('abort', () => controller.abort(), { signal: controller.signal })
  return controller
}

/** Resolves after `ms`, or at once when the signal is aborted or, if `wakeOnline`, when the browser is back on line. */
export function delay(ms: number, signal: AbortSignal, wakeOnline?: boolean): Promise<void> {
  return new Promise((resolve) => {
    const own = follow(signal)
    const done = () => own.abort()
    const timer = setTimeout(done, ms)
    const finish = () => {
      clearTimeout(timer)
      resolve()
    }
    if (own.signal.aborted) return finish()
    own.signal.addEventListener('abort', finish)
    if (wakeOnline) globalThis.addEventListener?.('online', done, { signal: own.signal })
  })
}
