/** `#sse/redis` where ioredis can hold its connections. */
export { createRedisDriver } from './redis'
export { DEFAULT_REDIS_URL, redisConnector } from './redis-connect'
export { resolveRedisOptions } from './redis-options'
export { loadIoredis } from '#sse/ioredis'
