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

/** Tells what happens to the page, until the signal is aborted. Where there is none, as in Node, nothing ever does. */
export function watchPage(signal: AbortSignal, listener: (event: PageEvent) => void): void {
  for (const type in MEANING) {
    // On the way down: `freeze` and `resume` are the document's, and need not bubble.
    globalThis.addEventListener?.(type, () => listener(type === 'visibilitychange' && isHidden() ? 'hidden' : MEANING[type]!), { capture: true, signal })
  }
}

export function isHidden(): boolean {
  // Servers read routes with `openSSE`, too, and their types know no document.
  return (globalThis as { document?: { visibilityState: string } }).document?.visibilityState === 'hidden'
}
