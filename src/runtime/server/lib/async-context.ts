import { platform } from './platform/platform'

/**
 * Async context of a request: the value of each `AsyncLocalStorage`, and so Nitro's `useEvent()`. Timers, connections and promises belong
 * to the request in which they are created, and keep it in memory. So the process creates its own {@link outside} of all requests, and a
 * callback of a request runs in the context captured with it.
 *
 * On Workers, each timer belongs to its request in any case.
 */
const { asyncHooks } = platform

/** Captured context. If no `AsyncLocalStorage` is in use, it keeps nothing in memory. */
export interface AsyncContext {
  run<T>(task: () => T): T
}

const NO_CONTEXT: AsyncContext = { run: task => task() }

class CapturedContext implements AsyncContext {
  readonly #resource = new asyncHooks!.AsyncResource('nuxt-sse')

  run<T>(task: () => T): T {
    return this.#resource.runInAsyncScope(task)
  }
}

/** Captures the context of the current request. */
export function captureContext(): AsyncContext {
  return asyncHooks ? new CapturedContext() : NO_CONTEXT
}

/** Returns a function that runs `task` in the context of the current request. */
export function bindContext<Arguments extends unknown[], Result>(task: (...args: Arguments) => Result): (...args: Arguments) => Result {
  if (!asyncHooks) return task
  const context = captureContext()
  return (...args) => context.run(() => task(...args))
}

/** Captured when the server starts, before its first request. */
const PROCESS = captureContext()

/** Runs `task` in no request's context, for work that outlives the request that happens to begin it. */
export function outside<T>(task: () => T): T {
  return PROCESS.run(task)
}
