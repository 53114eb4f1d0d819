import { SSEError, invalidOption } from '../shared/errors'
import { assertNames, overlay } from '../shared/rules'
import { assertDriver } from '../server/drivers/capabilities'
import { loadIoredis } from '../server/drivers/redis/build/ioredis-installed'
import type { CreateRedisClient } from '../server/drivers/redis/connection/client'
import { redisConnector } from '../server/drivers/redis/connection/connect'
import { DEFAULT_REDIS_OPTIONS, REDIS_RULES } from '../server/drivers/redis/options'
import type { ResolvedRedisOptions } from '../server/drivers/redis/options'
import { createRedisDriver } from '../server/drivers/redis/redis'
import type { LogDriver } from '../server/drivers/types'
import type { SSERetention } from '../server/options'

export interface DriverChoice {
  redis?: Partial<ResolvedRedisOptions>
  createClient?: CreateRedisClient
  driver?: LogDriver
}

/** Driver that a publisher's options name. It opens no connection until it is used. Throws `INVALID_OPTION`. */
export function createPublisherDriver({ redis = {}, createClient, driver }: DriverChoice, retention: SSERetention): LogDriver {
  if (driver) {
    if (createClient || Object.keys(redis).length) throw new SSEError('INVALID_OPTION', 'Expected either `driver`, or `redis` and `createClient`.')
    assertDriver(driver)
    return driver
  }
  assertNames(redis, REDIS_RULES, 'redis')
  const resolved = overlay({ ...redis, ...redisVariables(globalThis.process?.env ?? {}, redis) }, DEFAULT_REDIS_OPTIONS, REDIS_RULES, 'redis')
  const connect = redisConnector(resolved)
  if (!createClient && !resolved.url) throw invalidOption('redis.url', 'the URL of the servers\' Redis: name it, or set `NUXT_SSE_REDIS_URL`', resolved.url)
  return createRedisDriver({ ...resolved, createClient: createClient ?? (async settings => connect(await loadClient(), settings)) }, retention)
}

/** Options of Redis that are not `given`, from the environment, by the names that Nitro gives them. */
function redisVariables(env: Record<string, string | undefined>, given: Partial<ResolvedRedisOptions>): Record<string, unknown> {
  const missing = Object.keys(DEFAULT_REDIS_OPTIONS).filter(name => given[name as keyof ResolvedRedisOptions] === undefined)
  const variables = missing.flatMap((name) => {
    const suffix = `SSE_REDIS_${name.replaceAll(/[A-Z]/g, '_$&').toUpperCase()}`
    const value = env[`NUXT_${suffix}`] ?? env[`NITRO_${suffix}`]
    return value === undefined ? [] : [[name, readVariable(name as keyof ResolvedRedisOptions, value)]]
  })
  return Object.fromEntries(variables) as Record<string, unknown>
}

/** Reads a variable as Nitro does: as a number or a truth value where the option is one. */
function readVariable(name: keyof ResolvedRedisOptions, value: string): unknown {
  switch (typeof DEFAULT_REDIS_OPTIONS[name]) {
    case 'number': return /^\d+$/.test(value) ? Number(value) : value
    case 'boolean': return value === 'true' || value === '1' ? true : value === 'false' || value === '0' || value === '' ? false : value
    default: return value
  }
}

async function loadClient(): ReturnType<typeof loadIoredis> {
  return loadIoredis().catch((cause) => {
    throw new SSEError('DRIVER_UNAVAILABLE', 'Expected the package `ioredis` to be installed: run `npm install ioredis`.', { statusCode: 503, cause })
  })
}
