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

/** Passes on what happens to the page: it may have many clients, and each of them several watchers. */
let relay: EventTarget
let watchers = 0
/** Ends listening, which lasts from the first watcher to the last. */
let listening: AbortController

/** Calls `listener` with what happens to the page, until the signal is aborted. Where there is no page, as in Node, nothing ever does. */
export function watchPage(signal: AbortSignal, listener: (event: PageEvent) => void): void {
  if (signal.aborted || !globalThis.addEventListener) return
  if (!watchers++) listen()
  relay.addEventListener('page', event => listener((event as CustomEvent<PageEvent>).detail), { signal })
  signal.addEventListener('abort', () => --watchers || listening.abort())
}

function listen(): void {
  relay = new EventTarget()
  listening = new AbortController()
  for (const type in MEANING) {
    // On the way down: `freeze` and `resume` are the document's, and need not bubble.
    addEventListener(type, () => relay.dispatchEvent(new CustomEvent('page', { detail: type === 'visibilitychange' && isHidden() ? 'hidden' : MEANING[type] })), { capture: true, signal: listening.signal })
  }
}

export function isHidden(): boolean {
  // Servers read routes with `openSSE`, too, and their types know no document.
  return (globalThis as { document?: { visibilityState: string } }).document?.visibilityState === 'hidden'
}
