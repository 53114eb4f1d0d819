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
