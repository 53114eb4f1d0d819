import type { H3Event } from 'h3'
import type { ResponseSink } from '../http/sink'
import type { SSEErrorPlace } from '../insight/hooks'
import type { Insight } from '../insight/insight'
import type { Timers } from '../lib/platform/contract'

/** Services of the process that each connection uses. */
export interface ConnectionContext<Connection> {
  heartbeats: Timers
  /** All open connections of the process. */
  connections: Set<Connection>
  /** Aborted when the process begins to shut down. */
  readonly closing: AbortSignal
  readonly insight: Insight
  /**
   * Ends connections and producers whose request was cancelled without a sign, on platforms where that happens. Requests call it now and
   * then.
   */
  endAbandoned: () => void
  /** For Nuxt DevTools, in development only: returns the sink that a connection writes to instead of its own. */
  tap?: (connection: Connection, sink: ResponseSink, event: H3Event) => ResponseSink
  /** Reports an error that no caller receives. Default of `where`: `background`. `subject` names the route or the channel in the log. */
  report(error: unknown, where?: SSEErrorPlace, subject?: string): void
  /** Tracks a promise that never rejects: a shutdown waits for it. */
  track(promise: Promise<unknown>): void
}
