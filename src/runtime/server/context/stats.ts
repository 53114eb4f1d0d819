import type { SSEGapReason } from '../../shared/protocol'
import type { SSEContext } from './context'
import type { SSEEndReason } from '../insight/hooks'

/**
 * State of one process. `connections`, `polls`, `parkedReaders`, `channels` and `producers` are current numbers; all other numbers only
 * grow.
 */
export interface SSEStats {
  /** Name of the driver: `memory` or `redis`. */
  driver: string
  /** Number of open streams. */
  connections: number
  /** Number of streams ever opened. */
  connectionsTotal: number
  /** Number of streams that are over, by reason. */
  closed: Record<SSEEndReason, number>
  /** Number of polls in flight, nearly all of them waiting for messages. */
  polls: number
  pollsTotal: number
  /** Number of requests that received an error instead of a stream or a batch, by code. */
  refused: Record<string, number>
  /** Number of open streams whose socket is full: they wait until their client reads. */
  parkedReaders: number
  /** Number of channels with a reader in this process: a stream, a waiting poll or `subscribe`. */
  channels: number
  /** Number of running producers: `channel.pipe`, `channel.run`, and generators of `resumable` handlers. */
  producers: number
  /** Number of messages accepted for streams: one message to ten readers counts ten. */
  messagesSent: number
  /** Bytes of the bodies of streams, including heartbeats and control messages. */
  bytesSent: number
  /** Number of messages that the driver has acknowledged to this process, including repeats with a `key`. */
  published: number
  /** Number of messages that could not be published, by code. */
  publishErrors: Record<string, number>
  /** Number of gaps sent to clients, by reason. */
  gaps: Record<SSEGapReason, number>
}

/** Collects the statistics. Visits each open connection once: call it every few seconds, and not for every message. */
export function readStats({ insight, connections, hub, driver, producers }: SSEContext): SSEStats {
  let { messages, bytes } = insight.sent
  let parkedReaders = 0
  for (const connection of connections) {
    messages += connection.outbox.messages
    bytes += connection.outbox.bytes
    if (!connection.hasRoom) parkedReaders++
  }
  return {
    driver: driver.name,
    connections: connections.size,
    connectionsTotal: insight.connectionsTotal,
    closed: { ...insight.closed },
    polls: insight.polls,
    pollsTotal: insight.pollsTotal,
    refused: Object.fromEntries(insight.refused),
    parkedReaders,
    channels: hub.size,
    producers: producers.size,
    messagesSent: messages,
    bytesSent: bytes,
    published: insight.published,
    publishErrors: Object.fromEntries(insight.publishErrors),
    gaps: { ...insight.gaps },
  }
}
