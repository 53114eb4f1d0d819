import { outside } from './async-context'
import { platform } from './platform/platform'

/**
 * Runs `task` once, after all work that is ready now. It coalesces the work of one turn of the event loop: one write for ten messages, one
 * encoding for all readers.
 */
export const afterTick = platform.afterTick

/** Prevents a timer from keeping the process alive. On runtimes without `unref`, no timer does. */
export function unref<T>(timer: T): T {
  (timer as { unref?: () => void }).unref?.()
  return timer
}

/** Sets a timer that keeps neither the process alive nor the current request in memory. */
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
