import { DEFAULT_REDIS_URL, createRedisDriver, loadIoredis, redisConnector, resolveRedisOptions } from '#sse/redis'
import { SSEError, invalidOption } from '../../shared/errors'
import { createMemoryDriver } from '../drivers/memory/memory'
import type { CreateRedisClient } from '../drivers/redis/connection/client'
import type { RedisConnectOptions } from '../drivers/redis/connection/connect'
import type { LogDriver } from '../drivers/types'
import type { SSERetention } from '../options'

/** The options that choose a driver. */
export interface DriverOptions {
  driver?: string
  redis?: RedisConnectOptions
}

/** What an application may choose in its plugins, after the options were read. */
export interface DriverChoices {
  /** Used instead of the driver that the options name. */
  driver?: LogDriver
  /** Makes the clients of the redis driver. */
  createRedisClient?: CreateRedisClient
  /** The first client was made: `createRedisClient` cannot change any more. */
  redisClientsMade?: boolean
}

/** The driver that the options name. It connects to nothing, and has no timer, until it is used. Throws `INVALID_OPTION`. */
export function createRuntimeDriver({ driver: name, redis }: DriverOptions, retention: SSERetention, choices: DriverChoices): LogDriver {
  // A url alone selects redis.
  switch (name || (redis?.url ? 'redis' : 'memory')) {
    case 'memory': return createMemoryDriver(retention)
    case 'redis': {
      const resolved = resolveRedisOptions(redis)
      return createRedisDriver({ ...resolved, createClient: redisClients(resolved, choices) }, retention)
    }
    default: throw invalidOption('sse.driver', '`"memory"` or `"redis"`', name)
  }
}

/** Throws when the server starts, for options that make no sense; ioredis is loaded when a client is needed. */
function redisClients(options: RedisConnectOptions, choices: DriverChoices): CreateRedisClient {
  const connect = redisConnector(options)
  // A missing package is reported when the server starts, too, and not with the first message. By then, all plugins have made their choices.
  setTimeout(() => {
    if (!choices.createRedisClient && !choices.driver) loadClient().catch(({ message }: Error) => console.error(`[nuxt-sse] ${message}`))
  })
  return async (settings, role) => {
    choices.redisClientsMade = true
    if (choices.createRedisClient) return choices.createRedisClient(settings, role)
    if (!options.url && role === 'commands') console.warn(`[nuxt-sse] [redis] Nothing says where Redis is: trying ${DEFAULT_REDIS_URL}. Set \`sse.redis.url\`, or NUXT_SSE_REDIS_URL.`)
    return connect(await loadClient(), settings)
  }
}

async function loadClient(): ReturnType<typeof loadIoredis> {
  return loadIoredis().catch((cause) => {
    throw new SSEError('DRIVER_UNAVAILABLE', 'Expected the package `ioredis` to be there: run `npm install ioredis`, and set `sse.driver` to `redis` when you build.', { statusCode: 503, cause })
  })
}
