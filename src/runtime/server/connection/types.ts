import type { SSEEndReason } from '../insight/hooks'
import type { SSEMessageFields, TaggedMessage } from '../wire/message'

/**
 * Reason why a connection is over: the reason of its stream, or `refused` if it never opened because the response is an ordinary HTTP
 * response.
 */
export type SSECloseReason = SSEEndReason | 'refused'

/** One open response, as handlers use it. `T` is the type of its messages' data. */
export interface SSEConnection<T = unknown> {
  /**
   * Sends one message on this connection only: `data` as JSON, or a message made by `sseMessage`.
   *
   * Resolves with `true` when there is room for more, and with `false` when the connection is over: nothing was sent then. Await it, so
   * that a slow client slows the source. Pushes that are not awaited may queue up to `maxBufferedBytes`; beyond that, the connection ends
   * with a `leave`.
   *
   * Rejects with `INVALID_DATA`, `MESSAGE_TOO_LARGE`, `INVALID_EVENT`, `RESERVED_EVENT` or `INVALID_ID`: nothing was sent, and the
   * connection stays open.
   */
  push(data: T | TaggedMessage<T>, fields?: SSEMessageFields): Promise<boolean>
  /** Sends comment lines. Clients ignore them, except as a sign of life. Resolves as {@link push} does. */
  comment(text: string): Promise<boolean>
  /** Completes the stream: sends `end`, after which clients do not reconnect. Resolves when the response is over. */
  close(): Promise<void>
  /**
   * Instructs the client to reconnect after `retryMs` milliseconds, and ends the response. Default: a random part of the option `retryMs`,
   * so that clients that leave together do not return together. Throws `INVALID_OPTION` unless it is a number of at least 0.
   */
  leave(retryMs?: number): void
  /**
   * Calls `callback` once, when the connection is over for any reason; at once if it is over already. The returned function removes it.
   * Callbacks run in the order in which they were added. If one throws, the others still run.
   */
  onClosed(callback: () => unknown): () => void
  /** Aborted when the connection is over for any reason. Pass it to `fetch` or a database driver. */
  readonly signal: AbortSignal
  readonly closed: boolean
  /** Reason why it is over; `undefined` while it is open. */
  readonly closeReason: SSECloseReason | undefined
}
