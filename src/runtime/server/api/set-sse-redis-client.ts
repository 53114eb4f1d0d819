import type { CreateRedisClient } from '../drivers/redis/connection/client'
import { useRedisClientFactory } from '../entry/runtime-context'

/**
 * Makes the Redis driver create its clients with `factory`, for settings that a URL cannot express: certificates, a proxy, another
 * library's settings. Call it in a server plugin, before a channel is used.
 *
 * `factory` receives the settings that the driver needs, and the client's purpose. Spread the settings into the client's own: no command
 * may wait in ioredis's queue. It is called once for `'commands'`, and once for `'subscriptions'` unless the first client was a `Cluster`.
 * Each call must create a new client, which the driver owns and disconnects.
 *
 * ```ts
 * export default defineNitroPlugin(() => setSSERedisClient(settings => new Redis({ ...settings, host: 'redis', tls: { ca } })))
 * ```
 *
 * @throws `INVALID_OPTION` when the driver is not `redis`, and when its clients were created already
 */
export function setSSERedisClient(factory: CreateRedisClient): void {
  useRedisClientFactory(factory)
}
