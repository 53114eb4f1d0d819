import type { H3Event } from 'h3'
import type { ResponseSink } from '../http/sink'
import type { SSEErrorPlace } from '../insight/hooks'
import type { Insight } from '../insight/insight'
import type { Timers } from '../lib/platform/contract'

/** What the process gives to each of its connections. */
export interface ConnectionContext<Connection> {
  heartbeats: Timers
  /** Every open connection of the process. */
  connections: Set<Connection>
  /** Aborted when the process begins to shut down. */
  readonly closing: AbortSignal
  readonly insight: Insight
  /** Ends what belonged to requests that are gone without a word, on platforms where that happens. Called with what a request does again and again. */
  endAbandoned: () => void
  /** For Nuxt DevTools, in development only: gives what a connection writes to in place of its sink. */
  tap?: (connection: Connection, sink: ResponseSink, event: H3Event) => ResponseSink
  /** Where errors go that nobody awaits. Default of `where`: `background`. `subject` names the route or the channel in the log. */
  report(error: unknown, where?: SSEErrorPlace, subject?: string): void
  /** Keeps a promise that never rejects, for a shutdown to wait for. */
  track(promise: Promise<unknown>): void
}
