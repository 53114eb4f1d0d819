import type { CreateRedisClient } from '../drivers/redis/connection/client'
import { useRedisClientFactory } from '../entry/runtime-context'

/**
 * Makes the redis driver create its clients with `factory`, for what no url can say: certificates, a proxy, another library's
 * settings. To be called in a server plugin, before a channel is used.
 *
 * `factory` gets the settings that the driver needs, which must be spread into the client's own (nothing may wait in a queue of
 * ioredis), and what the client is for. It is called once for `'commands'`, and once for `'subscriptions'` unless the first client was
 * a `Cluster`. Each call must make a new client, which the driver owns and disconnects.
 *
 * ```ts
 * export default defineNitroPlugin(() => setSSERedisClient(settings => new Redis({ ...settings, host: 'redis', tls: { ca } })))
 * ```
 *
 * @throws `INVALID_OPTION` when the driver is not `redis`, and when its clients were made already
 */
export function setSSERedisClient(factory: CreateRedisClient): void {
  useRedisClientFactory(factory)
}
