import { platform } from './platform/platform'

/**
 * The async context of a request: what an `AsyncLocalStorage` returns, and with it Nitro's `useEvent()`. Timers, connections and promises
 * belong to the request in which they are made, and keep it in memory. So the process makes its own {@link outside} of all requests, and
 * a callback that a request gave runs in the context that was captured then.
 *
 * On Workers each timer is its request's own in any case.
 */
const { asyncHooks } = platform

/** A captured context. Without an `AsyncLocalStorage` in use it refers to nothing. */
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

/** The context of the request that is under way. */
export function captureContext(): AsyncContext {
  return asyncHooks ? new CapturedContext() : NO_CONTEXT
}

/** A function that runs `task` in the context of the request that is under way. */
export function bindContext<Arguments extends unknown[], Result>(task: (...args: Arguments) => Result): (...args: Arguments) => Result {
  if (!asyncHooks) return task
  const context = captureContext()
  return (...args) => context.run(() => task(...args))
}

/** Captured when the server starts, before its first request. */
const PROCESS = captureContext()

/** Runs `task` in no request's context: for everything that outlives the request that happens to begin it. */
export function outside<T>(task: () => T): T {
  return PROCESS.run(task)
}
