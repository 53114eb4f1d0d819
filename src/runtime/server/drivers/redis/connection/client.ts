import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { shareListener } from '../../../lib/one-listener'
import { retryDelayMs } from '../../../lib/delays'
import { unref } from '../../../lib/tick'
import { unavailable } from '../errors'

export type RedisClient = Redis | Cluster

/** Role of a connection. A subscribed connection takes no other commands, so commands and subscriptions have one each. */
export type RedisRole = 'commands' | 'subscriptions'

/**
 * Creates a client with `settings`, which suit the driver: above all, commands must not wait in a queue of ioredis. Called once for
 * commands, and once for subscriptions unless the first client is a `Cluster`, which knows its nodes.
 */
export type CreateRedisClient = (settings: RedisOptions, role: RedisRole) => RedisClient | Promise<RedisClient>

/** Delay before a failed command or subscription is retried, in milliseconds. */
export const RETRY_MS = 20

/** Share of an operation's time in which Redis should answer. After that, the operation is retried over another connection. */
export const ANSWER_FACTOR = 0.8

const RECONNECT = { firstMs: 40, maxMs: 500 }
/** Attempt whose delay (160 ms) a client that has given up uses next: it has failed several times before. */
const GIVEN_UP_ATTEMPT = 3

/** Settings of every connection, for the driver's own clients and the application's. */
export function redisSettings(timeoutMs: number, role: RedisRole): RedisOptions {
  return {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    // Operations wait in ready(), for a bounded time, and not in a queue of ioredis.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    // Detects a peer that vanished without closing, when a command is waiting for its answer.
    socketTimeout: timeoutMs * ANSWER_FACTOR,
    retryStrategy: reconnectDelayMs,
    // After a failover, the old primary may be a replica, which refuses writes.
    reconnectOnError: error => error.message.startsWith('READONLY'),
    // After resubscribing, readers must be notified that they may have missed messages. So the subscriber does both itself.
    ...role === 'subscriptions' && { autoResubscribe: false },
  }
}

/** Delay before ioredis reconnects, in milliseconds. `attempt` is 1 after the first failure. */
export function reconnectDelayMs(attempt: number): number {
  return retryDelayMs(RECONNECT, attempt - 1)
}

/**
 * Connects, and reconnects whenever the client has given up for good, as long as it is wanted. ioredis gives up if the application
 * configured its client not to reconnect, and if a Sentinel reports a failover while ioredis looks for the primary.
 */
export function keepConnected(client: RedisClient, wanted: () => boolean): void {
  const connect = () => {
    // A failure is emitted as `error`, and followed by another attempt or by `end`.
    if (wanted()) client.connect().catch(() => {})
  }
  client.on('end', () => wanted() && unref(setTimeout(connect, reconnectDelayMs(GIVEN_UP_ATTEMPT))))
  if (client.status === 'wait') connect()
}

export function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster
}

const whenReady = shareListener<RedisClient>((client, callAll) => client.on('ready', callAll))

/** Resolves when the client can be used. Rejects with `DRIVER_UNAVAILABLE` if it cannot by `until`. */
export async function ready<T extends RedisClient>(client: T, until: number): Promise<T> {
  if (client.status === 'ready') return client
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      release()
      if (client.status === 'ready') resolve(client)
      else reject(unavailable(new Error(`The connection to Redis is not ready. Its status is \`${client.status}\`.`)))
    }
    const timer = setTimeout(done, Math.max(0, until - performance.now()))
    const release = whenReady(client, done)
  })
}
