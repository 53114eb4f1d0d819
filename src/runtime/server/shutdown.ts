import type { Connection } from './connection'

/** The most that one process which goes sends to the others in a second: 10,000 clients come back within 20 s. */
const RECONNECTS_PER_SECOND = 500

/** Asks all clients to come back, spread over as long as their number needs, and at least over `retryMs`. */
export function leaveAll(connections: Set<Connection>): void {
  const open = [...connections]
  const spreadMs = open.length * 1_000 / RECONNECTS_PER_SECOND
  for (const connection of open) connection.leave(Math.ceil(Math.random() * Math.max(connection.options.retryMs, spreadMs)))
}

/** Resolves when all that are `open` are through, also those that begin meanwhile, or the time is up. */
export async function settled(open: () => Promise<unknown>[], withinMs: number): Promise<void> {
  const { promise: timeUp, resolve } = Promise.withResolvers<false>()
  const timer = setTimeout(resolve, withinMs, false)
  try {
    for (let left = open(); left.length > 0 && await Promise.race([timeUp, Promise.allSettled(left)]);) left = open()
  }
  finally {
    clearTimeout(timer)
  }
}
