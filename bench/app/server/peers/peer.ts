import type { EventHandler } from 'h3'

/** One way to send the same messages to many readers. */
export interface Peer {
  /** Opens a stream that gets what is published. */
  stream: EventHandler
  /** A stream of its own for one reader, as fast as it takes them. `?n=` messages. */
  fast?: EventHandler
  /** One tick: hands all of `messages` to every open stream. Resolves when the peer has taken them. */
  publish(messages: readonly unknown[]): unknown
}
