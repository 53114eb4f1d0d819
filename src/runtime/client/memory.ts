import type { Verdict } from './verdict'

/** Facts that a client has learned about the server at its URL, kept from attempt to attempt. */
export interface ServerMemory {
  /** The server's `retry` field, in milliseconds. */
  retryMs?: number
  /** The route answers polls, but not with batches. */
  unpollable?: boolean
  /** A cache has answered: the position goes into the query, so that each request has a URL of its own. */
  skipCaches?: boolean
  /** Attempts in a row in which no byte arrived. */
  silent: number
  /** Attempts in a row without any response while the browser was online. */
  unanswered: number
  /** Set where streams stay silent: when to try one again. */
  verdict?: Verdict
  /** Time of the last check of a stream, in epoch milliseconds. */
  checkedAt?: number
  /** A stream has delivered bytes. */
  streamed?: boolean
  /** The last poll got no response at all. */
  pollLost?: boolean
  /** Each connection runs the source from scratch. */
  restarts?: boolean
  /** Runs of the source in a row that failed with an `error` message. */
  failedRuns: number
  /** The state that the messages follow is loaded. `undefined` before the first attempt. */
  loaded?: boolean
  /** No message has followed the loaded state yet, and no connection has held. */
  unfollowed?: boolean
  /** In this attempt, a message has arrived, or the connection has held. */
  held?: boolean
}

export function createMemory(): ServerMemory {
  return { silent: 0, unanswered: 0, failedRuns: 0 }
}
