import { outside } from './async-context'
import { platform } from './platform/platform'

/**
 * Runs `task` once, after everything that is now ready to run. What happens within one turn of the event loop is thus
 * gathered: one write for ten messages, one encoding for all readers.
 */
export const afterTick = platform.afterTick

/** A timer must not keep a process alive; on runtimes without `unref` none does. */
export function unref<T>(timer: T): T {
  (timer as { unref?: () => void }).unref?.()
  return timer
}

/** A timer of the process: it keeps neither the process alive nor the request that sets it. */
export function processTimeout(task: () => void, ms: number): ReturnType<typeof setTimeout> {
  return outside(() => unref(setTimeout(task, ms)))
}

/** Resolves after `ms` milliseconds, or as soon as `signal` aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = unref(setTimeout(done, ms))
    signal?.addEventListener('abort', done)
  })
}
