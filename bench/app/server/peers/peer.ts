import type { EventHandler } from 'h3'

/** One way to send the same messages to many readers. */
export interface Peer {
  /** Opens a stream of published messages. */
  stream: EventHandler
  /** Opens a stream for one reader, which sends `?n=` messages as fast as the reader takes them. */
  fast?: EventHandler
  /** One tick: sends all of `messages` to every open stream. Resolves when the peer has accepted them. */
  publish(messages: readonly unknown[]): unknown
}
