import type { Connection } from '../connection/connection'

/** How many clients a second a process that goes may send to the others: 10,000 come back within 20 s. */
const RECONNECTS_PER_SECOND = 500

/** Asks all clients to come back, spread over the time that their number needs, and over `retryMs` at least. */
export function leaveAll(connections: Set<Connection>, report: (error: unknown) => void): void {
  const open = [...connections]
  const spreadMs = open.length * 1_000 / RECONNECTS_PER_SECOND
  for (const connection of open) {
    try {
      connection.leave(Math.ceil(Math.random() * Math.max(connection.options.retryMs, spreadMs)))
    }
    catch (error) {
      report(error)
    }
  }
}

/** Resolves when all promises that `open` gives are settled, with those that were added meanwhile, or when the time is up. */
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
