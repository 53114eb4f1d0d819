import { SSEError } from '../shared/errors'

/**
 * What `run` resolves with; rejects with `ABORTED` when `signal` aborts first.
 * Not a race with one promise that lives as long as the signal: that would hold on to every result until then.
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

const listeners = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `callback` when `signal` aborts, unless what it returns was called before. For a signal that any number listen to, as that of the process: an
 * `AbortSignal` goes through all its listeners whenever one is added, which took 20,000 waiting polls six seconds.
 */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = listeners.get(signal)
  if (!callbacks) {
    const made = callbacks = new Set()
    listeners.set(signal, made)
    signal.addEventListener('abort', () => {
      for (const call of made) call()
    })
  }
  callbacks.add(callback)
  return () => void callbacks.delete(callback)
}

/** What readers are told when their producer was stopped. */
export function aborted(cause?: unknown): SSEError {
  return new SSEError('ABORTED', '[nuxt-sse] The producer was stopped.', { cause, retry: false })
}
