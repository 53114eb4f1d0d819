/**
 * Changes of the page that concern a connection:
 *
 * - `sleep`: the user left the page, perhaps for the back-forward cache, or the browser froze it; an open connection would hang, silent
 * - `hidden`: another tab is in front; this one keeps running, with late timers
 * - `wake`: the page is active again; often reported more than once
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

/** Forwards page events to all watchers, with one set of listeners: a page can have many clients, each with several watchers. */
let relay: EventTarget
let watchers = 0
/** Stops the listeners, which exist from the first watcher to the last. */
let listening: AbortController

/** Calls `listener` with each page event until the signal is aborted. Does nothing where there is no page, as in Node. */
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
    // In the capture phase, since `freeze` and `resume` are dispatched on the document and need not bubble.
    addEventListener(type, () => relay.dispatchEvent(new CustomEvent('page', { detail: type === 'visibilitychange' && isHidden() ? 'hidden' : MEANING[type] })), { capture: true, signal: listening.signal })
  }
}

export function isHidden(): boolean {
  // `openSSE` also runs on servers, whose types have no `document`.
  return (globalThis as { document?: { visibilityState: string } }).document?.visibilityState === 'hidden'
}
