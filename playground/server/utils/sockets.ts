import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const sockets = new Map<string, Set<Socket>>()

export function rememberSocket(tab: string, socket: Socket, response: ServerResponse): void {
  const open = sockets.get(tab) ?? new Set()
  sockets.set(tab, open.add(socket))
  response.once('close', () => {
    open.delete(socket)
    if (open.size === 0) sockets.delete(tab)
  })
}

/** Cuts what is open, as a network does: without a word. Returns how many connections that were. */
export function cutSockets(tab: string): number {
  const open = sockets.get(tab) ?? new Set()
  for (const socket of open) socket.destroy()
  return open.size
}
