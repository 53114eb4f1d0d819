import { DEFAULT_REDIS_URL, createRedisDriver, loadIoredis, redisConnector, resolveRedisOptions } from '#sse/redis'
import { SSEError, invalidOption } from '../../shared/errors'
import { createMemoryDriver } from '../drivers/memory/memory'
import type { CreateRedisClient } from '../drivers/redis/connection/client'
import type { RedisConnectOptions } from '../drivers/redis/connection/connect'
import type { LogDriver } from '../drivers/types'
import type { SSERetention } from '../options'

/** Options that choose a driver. */
export interface DriverOptions {
  driver?: string
  redis?: RedisConnectOptions
}

/** Choices that an application may make in its plugins, after the options were read. */
export interface DriverChoices {
  /** Replaces the driver that the options name. */
  driver?: LogDriver
  /** Creates the clients of the Redis driver. */
  createRedisClient?: CreateRedisClient
  /** The first client exists: `createRedisClient` can no longer change. */
  redisClientsMade?: boolean
}

/** Driver that the options name. It opens no connection, and starts no timer, until it is used. Throws `INVALID_OPTION`. */
export function createRuntimeDriver({ driver: name, redis }: DriverOptions, retention: SSERetention, choices: DriverChoices): LogDriver {
  // A URL alone selects Redis.
  switch (name || (redis?.url ? 'redis' : 'memory')) {
    case 'memory': return createMemoryDriver(retention)
    case 'redis': {
      const resolved = resolveRedisOptions(redis)
      return createRedisDriver({ ...resolved, createClient: redisClients(resolved, choices) }, retention)
    }
    default: throw invalidOption('sse.driver', '`"memory"` or `"redis"`', name)
  }
}

/** Throws at server start if options are invalid; ioredis is loaded when a client is needed. */
function redisClients(options: RedisConnectOptions, choices: DriverChoices): CreateRedisClient {
  const connect = redisConnector(options)
  // Reports a missing package at server start, not with the first message. By then, all plugins have made their choices.
  setTimeout(() => {
    if (!choices.createRedisClient && !choices.driver) loadClient().catch(({ message }: Error) => console.error(`[nuxt-sse] ${message}`))
  })
  return async (settings, role) => {
    choices.redisClientsMade = true
    if (choices.createRedisClient) return choices.createRedisClient(settings, role)
    if (!options.url && role === 'commands') console.warn(`[nuxt-sse] [redis] No Redis URL is set. Trying ${DEFAULT_REDIS_URL}. Set \`sse.redis.url\` or NUXT_SSE_REDIS_URL.`)
    return connect(await loadClient(), settings)
  }
}

async function loadClient(): ReturnType<typeof loadIoredis> {
  return loadIoredis().catch((cause) => {
    throw new SSEError('DRIVER_UNAVAILABLE', 'Expected the package `ioredis` to be installed. Run `npm install ioredis`, and set `sse.driver` to `redis` for the build.', { statusCode: 503, cause })
  })
}
