import type { ServerResponse } from 'node:http'

const responses = new Map<string, Set<ServerResponse>>()

/** Until it is closed, the response is among those that {@link cutSockets} cuts for this tab. */
export function rememberResponse(tab: string, response: ServerResponse): void {
  const open = responses.get(tab) ?? new Set()
  responses.set(tab, open.add(response))
  response.once('close', () => {
    open.delete(response)
    if (open.size === 0 && responses.get(tab) === open) responses.delete(tab)
  })
}

/** Cuts what is open, as a network does: without a word. Returns how many connections that were. */
export function cutSockets(tab: string): number {
  const open = [...responses.get(tab) ?? []]
  for (const response of open) {
    // The proxy of `nuxt dev` passes a cut on only once it has seen headers; a poll that still waits for news would hang in it.
    if (import.meta.dev && !response.headersSent) response.flushHeaders()
    setImmediate(() => response.socket?.destroy())
  }
  return open.length
}
