import { invalidOption } from '../../../../shared/errors'
import type { redisConnector as connector } from '../connection/connect'
import type { resolveRedisOptions as resolve } from '../options'
import type { createRedisDriver as create } from '../redis'

/**
 * `#sse/redis` in builds for Cloudflare Workers, which contain no Redis code. The build refuses the option; these functions throw when the
 * environment selects Redis.
 */
export const DEFAULT_REDIS_URL = ''
export const createRedisDriver: typeof create = leftOut
export const redisConnector: typeof connector = leftOut
export const resolveRedisOptions: typeof resolve = leftOut
export const loadIoredis: () => Promise<typeof import('ioredis')> = leftOut

function leftOut(): never {
  throw invalidOption('sse.driver', '`"memory"` on Cloudflare Workers, where a connection to Redis ends with its request', 'redis')
}
