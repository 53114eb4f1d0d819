import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { behindOneListener } from '../../../lib/one-listener'
import { retryDelayMs } from '../../../lib/delays'
import { unref } from '../../../lib/tick'
import { unavailable } from '../errors'

export type RedisClient = Redis | Cluster

/** Commands and subscriptions have a connection each: one that is subscribed takes no other commands. */
export type RedisRole = 'commands' | 'subscriptions'

/**
 * Makes a client that connects as `settings` say, which suit what it is for: in short, that nothing waits in a queue of
 * ioredis. Called once for commands; and once for subscriptions, unless the first one is a `Cluster`, which knows its nodes.
 */
export type CreateRedisClient = (settings: RedisOptions, role: RedisRole) => RedisClient | Promise<RedisClient>

/** How long until a command or subscription that has failed is tried again. */
export const RETRY_MS = 20

/**
 * Of the time that an operation has, the part in which Redis should answer. Who has heard nothing by then asks again, over another connection.
 */
export const ANSWER_FACTOR = 0.8

const RECONNECT = { firstMs: 40, maxMs: 500 }
/** A client that has given up has tried before: its next delay is as for this attempt (160 ms). */
const GIVEN_UP_ATTEMPT = 3

/** How every connection behaves, whoever makes it. */
export function redisSettings(timeoutMs: number, role: RedisRole): RedisOptions {
  return {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    // Whoever waits for Redis waits in ready(), for a bounded time, and not in a queue of ioredis.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    // A peer that vanished without a word is found by whoever waits for its answer.
    socketTimeout: timeoutMs * ANSWER_FACTOR,
    retryStrategy: reconnectDelayMs,
    // After a failover the old primary may be a replica, which refuses to write.
    reconnectOnError: error => error.message.startsWith('READONLY'),
    // Whoever subscribes again must also tell readers that something may have been missed: so we do it.
    ...role === 'subscriptions' && { autoResubscribe: false },
  }
}

/** For ioredis: `attempt` is 1 after the first failure. */
export function reconnectDelayMs(attempt: number): number {
  return retryDelayMs(RECONNECT, attempt - 1)
}

/**
 * Connects, and does so again whenever the client has given up for good, as long as it is wanted. ioredis gives up when whoever made the
 * client has told it not to reconnect, and when a Sentinel tells of a failover while it looks for the primary.
 */
export function keepConnected(client: RedisClient, wanted: () => boolean): void {
  const connect = () => {
    // A failure is told of as `error`, and followed by another attempt, or by `end`.
    if (wanted()) client.connect().catch(() => {})
  }
  client.on('end', () => wanted() && unref(setTimeout(connect, reconnectDelayMs(GIVEN_UP_ATTEMPT))))
  if (client.status === 'wait') connect()
}

export function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster
}

const whenReady = behindOneListener<RedisClient>((client, callAll) => client.on('ready', callAll))

/** Resolves when the client can be used; rejects with `DRIVER_UNAVAILABLE` when it cannot by `until`. */
export async function ready<T extends RedisClient>(client: T, until: number): Promise<T> {
  if (client.status === 'ready') return client
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      release()
      if (client.status === 'ready') resolve(client)
      else reject(unavailable(new Error(`The connection is ${client.status}.`)))
    }
    const timer = setTimeout(done, Math.max(0, until - performance.now()))
    const release = whenReady(client, done)
  })
}
