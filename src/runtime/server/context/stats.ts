import type { SSEGapReason } from '../../shared/protocol'
import type { SSEContext } from './context'
import type { SSEEndReason } from '../insight/hooks'

/** One process at one moment. `connections`, `polls`, `parkedReaders`, `channels` and `producers` are current numbers; all other numbers only grow. */
export interface SSEStats {
  /** The driver's name: `memory` or `redis`. */
  driver: string
  /** Streams open now. */
  connections: number
  /** Streams ever opened. */
  connectionsTotal: number
  /** Streams that are over, by reason. */
  closed: Record<SSEEndReason, number>
  /** Polls being answered now, nearly all of them waiting for news. */
  polls: number
  pollsTotal: number
  /** Requests that were answered with an error instead of a stream or a batch, by code. */
  refused: Record<string, number>
  /** Open streams whose socket is full: they wait until their client reads on. */
  parkedReaders: number
  /** Channels that somebody reads now: streams, waiting polls and `subscribe`. */
  channels: number
  /** Producers under way: `channel.pipe`, `channel.run`, and generators of `resumable` handlers. */
  producers: number
  /** Messages accepted for streams: one message to ten readers counts ten. */
  messagesSent: number
  /** Bytes of the bodies of streams, heartbeats and control messages among them. */
  bytesSent: number
  /** Messages that the driver has acknowledged to this process, repeats with a `key` among them. */
  published: number
  /** Messages that could not be published, by code. */
  publishErrors: Record<string, number>
  /** Gaps that clients were told of, by reason. */
  gaps: Record<SSEGapReason, number>
}

/** Looks at each open connection once: fine every few seconds, and too much for every message. */
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
