import type { ClusterOptions, RedisOptions } from 'ioredis'
import { invalidOption } from '../../shared/errors'
import type { RedisClient } from './redis-client'
import { reconnectDelayMs } from './redis-client'

/** Used where no url is given. */
export const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379'
const URLS_EXPECTED = '`redis://` or `rediss://` urls, separated by commas, with user and password percent-encoded'

/** Where Redis is. As module options under `sse.redis`, and `NUXT_SSE_REDIS_URL` and so on at run time. */
export interface RedisConnectOptions {
  /** One url, or more, separated by commas: nodes of a cluster, or Sentinels. User, password and database are the first one's. */
  url?: string
  /** The urls are nodes of a Redis Cluster. */
  cluster?: boolean
  /** The urls are Sentinels, and this is the name by which they know the primary. */
  sentinel?: string
  /** For the Sentinels themselves, where they ask for one. */
  sentinelPassword?: string
}

/**
 * Reads where Redis is, and returns a function that makes a client for it; `settings` are those of every connection.
 * Throws `INVALID_OPTION`.
 */
export function redisConnector({ url, cluster, sentinel, sentinelPassword }: RedisConnectOptions): (ioredis: typeof import('ioredis'), settings: RedisOptions) => RedisClient {
  if (cluster && sentinel) throw invalidOption('redis.sentinel', 'empty where `redis.cluster` is set', sentinel)
  const urls = parseAll(url || DEFAULT_REDIS_URL)
  const { username, password, protocol, pathname } = urls[0]!
  const nodes = urls.map(({ hostname, port }) => ({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (sentinel ? 26_379 : 6_379)) }))
  const db = Number(pathname.slice(1) || 0)
  const tls = protocol === 'rediss:' ? {} : undefined
  if (cluster && db) throw invalidOption('redis.url', 'a url without a database, since a cluster has only one', db)
  if (nodes.length > 1 && !cluster && !sentinel) throw invalidOption('redis.url', 'one url, unless `redis.cluster` or `redis.sentinel` is set', nodes.length)

  const credentials = { username: decodeURIComponent(username) || undefined, password: decodeURIComponent(password) || undefined }
  return ({ Redis, Cluster }, settings) => {
    const options: RedisOptions = { ...settings, ...credentials, db, tls }
    if (cluster) return new Cluster(nodes, clusterOptions(options))
    if (!sentinel) return new Redis({ ...options, ...nodes[0] })
    return new Redis({
      ...options,
      sentinels: nodes,
      name: sentinel,
      sentinelPassword: sentinelPassword || undefined,
      sentinelTLS: tls,
      enableTLSForSentinelMode: tls !== undefined,
      sentinelRetryStrategy: reconnectDelayMs,
      // The Sentinels say when another node is the primary, also while the old one seems to be alive.
      failoverDetector: true,
    })
  }
}

/** Connecting to nodes when they are first needed, and finding others when they are gone, is left to ioredis. */
function clusterOptions({ lazyConnect, retryStrategy: _, enableOfflineQueue: __, maxRetriesPerRequest: ___, db: ____, ...redisOptions }: RedisOptions): ClusterOptions {
  return { lazyConnect, redisOptions, clusterRetryStrategy: reconnectDelayMs, slotsRefreshTimeout: redisOptions.connectTimeout }
}

function parseAll(text: string): URL[] {
  return text.split(',').map((url) => {
    const parsed = URL.canParse(url.trim()) ? new URL(url.trim()) : undefined
    const database = parsed?.pathname.slice(1) ?? ''
    if (parsed?.hostname && ['redis:', 'rediss:'].includes(parsed.protocol) && /^\d*$/.test(database) && isDecodable(parsed.username + parsed.password)) return parsed
    // Whatever stands before the last `@` of them all may be a part of a password: one with a comma in it, or of an url without a protocol.
    throw invalidOption('redis.url', URLS_EXPECTED, text.replace(/^.*@/s, '…@'))
  })
}

/** A bare `%` is nothing that an url can hold, and yet `URL` takes it. */
function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined
  }
  catch {
    return false
  }
}
