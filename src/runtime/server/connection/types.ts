import type { SSEEndReason } from '../insight/hooks'
import type { SSEMessageFields, TaggedMessage } from '../wire/message'

/** Why a connection is over: as its stream ended, or `refused` where it never opened, because the answer is an ordinary HTTP response. */
export type SSECloseReason = SSEEndReason | 'refused'

/** One open response, as handlers see it. `T` is the type of its messages' data. */
export interface SSEConnection<T = unknown> {
  /**
   * Sends one message on this connection only: `data` as JSON, or a message made by `sseMessage`.
   *
   * Resolves with `true` when there is room for more (so that, if you await it, a slow reader slows the source), and with `false` when
   * the connection is over, in which case nothing was sent. Pushes that are not awaited may queue up to `maxBufferedBytes`;
   * beyond that, the connection ends with a `leave`. Rejects with `INVALID_DATA`, `MESSAGE_TOO_LARGE`, `INVALID_EVENT`,
   * `RESERVED_EVENT` or `INVALID_ID`: nothing was sent, and the connection goes on.
   */
  push(data: T | TaggedMessage<T>, fields?: SSEMessageFields): Promise<boolean>
  /** Sends comment lines, which clients ignore except as a sign of life. */
  comment(text: string): Promise<boolean>
  /** The source is complete: sends `end`, and clients do not come back. Resolves when the last byte has left. */
  close(): Promise<void>
  /**
   * Asks the client to come back after `retryMs` milliseconds, and ends the response. Default: a random part of the option
   * `retryMs`, so that clients that leave together do not return together. Throws `INVALID_OPTION` for anything but a number from 0.
   */
  leave(retryMs?: number): void
  /**
   * Calls `callback` once, when the connection is over for whatever reason; at once when it is over already. Returns a function
   * that takes it back. Callbacks run in the order in which they were given; one that throws does not keep the others from running.
   */
  onClosed(callback: () => unknown): () => void
  /** Aborted when the connection is over, for whatever reason: hand it to `fetch` or a database driver. */
  readonly signal: AbortSignal
  readonly closed: boolean
  /** Why it is over; `undefined` while it is not. */
  readonly closeReason: SSECloseReason | undefined
}
