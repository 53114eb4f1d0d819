import type { SSESchema, SSESchemas } from '../shared/standard-schema'
import { assertNames, check, functionOf, object } from '../shared/rules'
import { Channel } from '../server/channel/channel'
import { addChannelHost } from '../server/channel/channel-host'
import { readChannelOptions } from '../server/channel/message-schemas'
import { sendDisconnect } from '../server/channel/send-disconnect'
import type { SSEDisconnectOptions } from '../server/channel/send-disconnect'
import type { SSEChannel, SSEChannelOptions, SSESchemaChannel, SSESchemaOptions } from '../server/channel/types'
import { createChannelContext } from '../server/context/channel-context'
import type { CreateRedisClient } from '../server/drivers/redis/connection/client'
import type { RedisConnectOptions } from '../server/drivers/redis/connection/connect'
import type { LogDriver } from '../server/drivers/types'
import type { SSERetention } from '../server/options'
import { PresenceLookup } from '../server/presence/presence-lookup'
import type { SSEPresenceLookup } from '../server/presence/types'
import { resolveHandlerOptions } from '../server/resolve-options'
import { createPublisherDriver } from './publisher-driver'

/** Options of `sse.redis` in `nuxt.config`. */
export interface PublisherRedisOptions extends RedisConnectOptions {
  /** Prefix of every key, as on the servers. @default 'sse:' */
  keyPrefix?: string
  /** Timeout of an operation, in milliseconds. Beyond it, the operation rejects with `DRIVER_UNAVAILABLE`. @default 2000 */
  timeoutMs?: number
}

export interface SSEPublisherOptions {
  /**
   * Redis of the servers; requires the package `ioredis`. An option that is not named here is read from the environment, as on a server:
   * `NUXT_SSE_REDIS_URL`, `NUXT_SSE_REDIS_KEY_PREFIX` and so on, or `NITRO_SSE_REDIS_URL` and so on.
   */
  redis?: PublisherRedisOptions
  /** Creates the clients of Redis, with the given settings: one for commands, and one for subscriptions when it is needed. */
  createClient?: CreateRedisClient
  /** Driver to use instead of Redis. The publisher closes it. */
  driver?: LogDriver
  /**
   * Retention of channels that name none. Use the same values as the servers.
   * @default { maxMessages: 1000, maxAgeMs: 3600000, maxBytes: 67108864 }
   */
  retention?: Partial<SSERetention>
  /** Maximum size of one message's data as JSON, in bytes of UTF-8. @default 1048576 (1 MiB) */
  maxMessageBytes?: number
  /** Lease of a `channel.run`, in milliseconds. At least 300. @default 10000 */
  leaseMs?: number
  /** Maximum wait of `close()` for what is in flight, in milliseconds. 0 does not wait. @default 1000 */
  shutdownMs?: number
}

/** Channels of a process without Nitro: a queue worker, a cron job, a script, or a server of another framework. */
export interface SSEPublisher extends AsyncDisposable {
  /** Returns a handle on the channel of this name, as `useSSEChannel` does on a server. Throws `INVALID_CHANNEL` and `INVALID_OPTION`. */
  channel<T = unknown>(name: string, options?: SSEChannelOptions & { schema?: undefined, events?: undefined }): SSEChannel<T>
  channel<S extends SSESchema | undefined = undefined, E extends SSESchemas | undefined = undefined>(name: string, options: SSESchemaOptions<S, E>): SSESchemaChannel<S, E>
  /**
   * Looks up who is present under this name on the servers; see `useSSEPresence`. The process itself is no member. Throws `INVALID_CHANNEL`.
   */
  presence<D = unknown>(name: string): SSEPresenceLookup<D>
  /** Ends every open stream and poll of a client key, on every server; see `disconnectSSE`. Throws `INVALID_OPTION`. */
  disconnect(clientKey: string, options?: SSEDisconnectOptions): Promise<void>
  /**
   * Waits `shutdownMs` for publishes and producers in flight, stops the producers that remain, and closes the driver. After that, nothing of
   * the publisher keeps the process alive. Safe to call twice.
   */
  close(): Promise<void>
}

const RULES = {
  redis: object(),
  createClient: functionOf('that returns a client of Redis'),
  driver: object('with the methods of a `LogDriver`'),
}
const NAMES = { ...RULES, retention: true, maxMessageBytes: true, leaseMs: true, shutdownMs: true }

/**
 * Creates a publisher. Channels made by `defineSSEChannel` use the first one of the process that is open. Connects when it is first used.
 *
 * @param options default: Redis, as the environment names it
 * @throws `INVALID_OPTION`
 */
export function createSSEPublisher(options: SSEPublisherOptions = {}): SSEPublisher {
  assertNames(options, NAMES)
  for (const [name, rule] of Object.entries(RULES)) {
    const value = options[name as keyof typeof RULES]
    if (value !== undefined) check(name, value, rule)
  }
  const { redis, createClient, driver, ...rest } = options
  const resolved = resolveHandlerOptions(rest)
  // It names no field: its retention is the default of channels without their own.
  const { named: _, ...retention } = resolved.retention
  const context = createChannelContext({
    options: { ...resolved, retention },
    driver: createPublisherDriver({ redis, createClient, driver }, retention),
  })
  const remove = addChannelHost(() => context)
  let closing: Promise<void> | undefined
  const close = () => closing ??= context.close().finally(remove)
  function channel(name: string, channelOptions?: SSESchemaOptions): SSEChannel {
    const { schemas, ...read } = channelOptions ? readChannelOptions(channelOptions) : {}
    return new Channel(context, name, read, schemas)
  }
  async function disconnect(clientKey: string, disconnectOptions?: SSEDisconnectOptions): Promise<void> {
    await sendDisconnect(context, clientKey, disconnectOptions)
  }
  const presence = <D>(name: string) => new PresenceLookup<D>(context, name)
  return { channel: channel as SSEPublisher['channel'], presence, disconnect, close, [Symbol.asyncDispose]: close }
}
