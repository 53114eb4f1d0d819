import type { SSEMessage, SSEStream } from '../../shared/types'
import type { SSEPresenceMember, SSEPresenceMessage } from '../../shared/presence'

export interface SSEPresenceOptions {
  /**
   * Time after which a client that disconnected has left, in milliseconds. If it reconnects before, to any instance, nothing is sent. After a
   * `leave` of the server, the time begins when the client is expected back. At least 0. Default: the module's `leaveAfterMs` (5000).
   */
  leaveAfterMs?: number
}

/** Look-up of the members of a name, on a server or in any other process. */
export interface SSEPresenceLookup<D = unknown> {
  /**
   * Members that are present now, on all instances, in no particular order. Right after an outage of the driver, or the first time after the
   * only instance with members was killed, it waits until it is certain: 0.4 × `leaseMs` at most. Rejects with `DRIVER_UNAVAILABLE`, and with
   * `NOT_SUPPORTED` on a driver without presence.
   */
  members(): Promise<SSEPresenceMember<D>[]>
  /** Number of members that are present now. Cheaper than {@link members}. Waits and rejects as that does. */
  count(): Promise<number>
}

/**
 * Presence of a name: who is connected. Return it from `defineSSEHandler`, alone or as a value of `useSSEChannels`. Its clients receive
 * {@link SSEPresenceMessage}s.
 */
export interface SSEPresence<D = unknown> extends SSEStream<SSEMessage<SSEPresenceMessage<D>>>, SSEPresenceLookup<D> {}
