import { vi } from 'vitest'

/**
 * Tracks pending timers and intervals of code whose stack contains `path`, until `vi.unstubAllGlobals()`. Node sets timers of its own,
 * for example for `fetch`.
 */
export function trackTimers(path: string): ReadonlySet<unknown> {
  const pending = new Set<unknown>()
  const { setTimeout, setInterval, clearTimeout } = globalThis
  const track = (timer: unknown) => {
    if (new Error('caller').stack!.includes(path)) pending.add(timer)
    return timer
  }
  const clear = (timer: ReturnType<typeof setTimeout>) => {
    pending.delete(timer)
    clearTimeout(timer)
  }
  vi.stubGlobal('setTimeout', (task: (...values: unknown[]) => void, ms?: number, ...values: unknown[]) => {
    const timer = setTimeout(() => {
      pending.delete(timer)
      task(...values)
    }, ms)
    return track(timer)
  })
  vi.stubGlobal('setInterval', (task: () => void, ms?: number) => track(setInterval(task, ms)))
  vi.stubGlobal('clearTimeout', clear)
  vi.stubGlobal('clearInterval', clear)
  return pending
}
