import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { invalidOption } from '../../../../shared/errors'
import type { RedisClient } from './client'
import { reconnectDelayMs } from './client'
import { parseRedisUrls } from './url'

/** URL used when none is given. */
export const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379'

/** Address of Redis: module options under `sse.redis`, and `NUXT_SSE_REDIS_URL` and so on at run time. */
export interface RedisConnectOptions {
  /**
   * One URL, or more, separated by commas: nodes of a cluster, or Sentinels. User, password and database are those of the first. The
   * database is the path or `?db=`, and `?family=` the IP version (4, 6, or 0 for both); other parameters are refused.
   */
  url?: string
  /** Whether the URLs are nodes of a Redis Cluster. */
  cluster?: boolean
  /** Name by which the Sentinels know the primary. If it is set, the URLs are Sentinels. */
  sentinel?: string
  /** Password of the Sentinels themselves, if they require one. */
  sentinelPassword?: string
}

/**
 * Parses the address of Redis, and returns a function that creates a client for it. `settings` are those of every connection. Throws
 * `INVALID_OPTION`.
 */
export function redisConnector({ url, cluster, sentinel, sentinelPassword }: RedisConnectOptions): (ioredis: typeof import('ioredis'), settings: RedisOptions) => RedisClient {
  if (cluster && sentinel) throw invalidOption('redis.sentinel', 'empty if `redis.cluster` is set', sentinel)
  const { nodes, db, tls: isTls, ...connection } = parseRedisUrls(url || DEFAULT_REDIS_URL, sentinel ? 26_379 : 6_379)
  const tls = isTls ? {} : undefined
  if (cluster && db) throw invalidOption('redis.url', 'a URL without a database, because a cluster has only one', db)
  if (nodes.length > 1 && !cluster && !sentinel) throw invalidOption('redis.url', 'one URL, unless `redis.cluster` or `redis.sentinel` is set', nodes.length)

  return ({ Redis, Cluster }, settings) => {
    const options: RedisOptions = { ...settings, ...connection, db, tls }
    if (cluster) return tellingNodeErrors(new Cluster(nodes, clusterOptions(options)))
    if (!sentinel) return new Redis({ ...options, ...nodes[0] })
    return tellingSentinelErrors(new Redis({
      ...options,
      sentinels: nodes,
      name: sentinel,
      sentinelPassword: sentinelPassword || undefined,
      sentinelTLS: tls,
      enableTLSForSentinelMode: tls !== undefined,
      sentinelRetryStrategy: reconnectDelayMs,
      // The Sentinels report when another node is the primary, even while the old one seems to be alive.
      failoverDetector: true,
    }))
  }
}

/** Forwards errors of a connection to the client as `node error`, which a `Cluster` emits for some of the connections to its nodes. */
function tellingErrors(of: RedisClient): (made: Redis) => Redis {
  return made => made.on('error', error => of.emit('node error', error))
}

/**
 * Emits `node error` also for the connections over which ioredis queries Sentinels. ioredis hides their errors, so that a refused
 * certificate would be no more than "Connection is closed".
 */
function tellingSentinelErrors(client: Redis): Redis {
  const { connector } = client as unknown as { connector?: { connectToSentinel?(...args: unknown[]): Redis } }
  const connectToSentinel = connector?.connectToSentinel?.bind(connector)
  if (connectToSentinel) connector!.connectToSentinel = (...args) => tellingErrors(client)(connectToSentinel(...args))
  return client
}

/** Emits `node error` also for the connections over which ioredis queries nodes for the slots: duplicates of the nodes' own. */
function tellingNodeErrors(cluster: Cluster): Cluster {
  return cluster.on('+node', (node: Redis) => {
    const duplicate = node.duplicate.bind(node)
    node.duplicate = override => tellingErrors(cluster)(duplicate(override))
  })
}

/** Options of a cluster. ioredis connects to nodes when they are first needed, and finds others when they are gone. */
function clusterOptions({ lazyConnect, retryStrategy: _, enableOfflineQueue: __, maxRetriesPerRequest: ___, db: ____, ...redisOptions }: RedisOptions): ClusterOptions {
  return {
    lazyConnect,
    redisOptions,
    clusterRetryStrategy: reconnectDelayMs,
    slotsRefreshTimeout: redisOptions.connectTimeout,
    // Certificates are for host names. By default, ioredis replaces these by addresses before it connects.
    ...redisOptions.tls && { dnsLookup: (host, callback) => callback(null, host) },
  }
}
