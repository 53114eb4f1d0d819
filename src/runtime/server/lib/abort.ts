import { SSEError } from '../../shared/errors'
import { shareListener } from './one-listener'

/**
 * Resolves as `run` does; rejects with `ABORTED` when `signal` aborts first. Not a race with one promise that lives as long as the signal:
 * that would keep every result in memory until then.
 */
export function unlessAborted<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
  if (!signal) return run()
  return new Promise((resolve, reject) => {
    const stop = () => reject(aborted(signal.reason))
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    run().then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

/**
 * Calls `callback` when `signal` aborts, unless the returned function is called first. For a signal with any number of listeners, such as
 * the process's.
 */
export const whenAborted = shareListener<AbortSignal>((signal, callAll) => signal.addEventListener('abort', callAll))

/** Error that readers receive when their producer was stopped. */
export function aborted(cause?: unknown): SSEError {
  return new SSEError('ABORTED', 'The producer was stopped.', { cause, retry: false })
}
