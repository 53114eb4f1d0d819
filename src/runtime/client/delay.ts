/** Resolves after `ms`, or at once when the signal is aborted or, if `wakeOnline`, when the browser is back on line. */
export function delay(ms: number, signal: AbortSignal, wakeOnline = false): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      if (wakeOnline) globalThis.removeEventListener?.('online', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
    if (wakeOnline) globalThis.addEventListener?.('online', done)
    if (signal.aborted) done()
  })
}
