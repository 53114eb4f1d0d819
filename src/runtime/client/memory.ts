import type { Verdict } from './verdict'

/** What a client has learnt of the server at its url, kept from attempt to attempt. */
export interface ServerMemory {
  /** The server's `retry` field. */
  retryMs?: number
  /** The route answers, but not with batches. */
  unpollable?: boolean
  /** A cache has answered: positions go where they make another url. */
  pastCaches?: boolean
  /** Attempts in a row in which nothing came. */
  mute: number
  /** Attempts in a row that were not answered at all, while the browser was on line. */
  unanswered: number
  /** Where streams stay silent: when one is tried again. */
  verdict?: Verdict
  /** When a stream was last looked at, in epoch milliseconds. */
  checkedAt?: number
  /** A stream has given bytes. */
  streamed?: boolean
  /** The last poll was not answered at all. */
  pollLost?: boolean
  /** Each connection runs the source from scratch. */
  restarts?: boolean
  /** Runs in a row that failed with an error of their own. */
  failedRuns: number
}

export function createMemory(): ServerMemory {
  return { mute: 0, unanswered: 0, failedRuns: 0 }
}
