/** `#sse/redis` on platforms where ioredis can hold its connections. */
export { createRedisDriver } from '../redis'
export { DEFAULT_REDIS_URL, redisConnector } from '../connection/connect'
export { resolveRedisOptions } from '../options'
export { loadIoredis } from '#sse/ioredis'
