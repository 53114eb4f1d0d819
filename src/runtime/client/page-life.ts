/**
 * - `sleep`: the page is left, perhaps for the back-forward cache, or frozen; an open connection would hang there, mute
 * - `hidden`: another tab is in front, and this one runs on, with late timers
 * - `wake`: it is back, in whatever way; often said more than once
 */
export type PageEvent = 'sleep' | 'hidden' | 'wake' | 'online' | 'offline'

const MEANING: Record<string, PageEvent> = {
  pagehide: 'sleep',
  freeze: 'sleep',
  pageshow: 'wake',
  resume: 'wake',
  visibilitychange: 'wake',
  online: 'online',
  offline: 'offline',
}

type Watcher = (event: PageEvent) => void

/** All of the page, in the order in which they began. */
const watchers = new Set<Watcher>()
/** Ends listening, which lasts from the first watcher to the last: a page may have many clients, and each of them several watchers. */
let listening: AbortController | undefined

/** Calls `listener` with what happens to the page, until the signal is aborted. Where there is no page, as in Node, nothing ever does. */
export function watchPage(signal: AbortSignal, listener: Watcher): void {
  if (signal.aborted || !globalThis.addEventListener) return
  // The same function may watch twice.
  const watcher: Watcher = event => listener(event)
  watchers.add(watcher)
  signal.addEventListener('abort', () => {
    watchers.delete(watcher)
    if (watchers.size) return
    listening?.abort()
    listening = undefined
  })
  if (listening) return
  listening = new AbortController()
  for (const type in MEANING) {
    // On the way down: `freeze` and `resume` are the document's, and need not bubble.
    globalThis.addEventListener(type, () => tell(type === 'visibilitychange' && isHidden() ? 'hidden' : MEANING[type]!), { capture: true, signal: listening.signal })
  }
}

/** As the platform calls listeners: none that has come or gone meanwhile, and all, whatever one throws. */
function tell(event: PageEvent): void {
  for (const watcher of [...watchers]) {
    try {
      if (watchers.has(watcher)) watcher(event)
    }
    catch (cause) {
      queueMicrotask(() => {
        throw cause
      })
    }
  }
}

export function isHidden(): boolean {
  // Servers read routes with `openSSE`, too, and their types know no document.
  return (globalThis as { document?: { visibilityState: string } }).document?.visibilityState === 'hidden'
}
