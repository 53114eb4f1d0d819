import type { Redis, RedisOptions } from 'ioredis'
import { SSEError } from '../../shared/errors'
import { unref } from '../tick'

/** How often the subscriber connection is asked for a sign of life: it can look alive and be dead. */
const PROBE_MS = 3_000
const MAX_RECONNECT_MS = 500

export interface RedisLinkOptions {
  timeoutMs: number
  /** Makes a client that connects as `options` say. */
  createClient: (options: RedisOptions) => Redis | Promise<Redis>
  /** Told once when Redis goes away, and once when it is back. */
  report(message: string, cause?: unknown): void
}

/** The two connections of a process: one for commands, one for subscriptions. */
export interface RedisLink {
  /** Runs a command. Rejects with `DRIVER_UNAVAILABLE` when Redis cannot be reached in time. */
  run<T>(command: (client: Redis) => Promise<T>): Promise<T>
  /** Resolves when Redis has acknowledged. `onMessage` gets every message; `undefined` when some may have been missed. */
  subscribe(channel: string, onMessage: (message: string | undefined) => void): Promise<() => void>
  close(): Promise<void>
}

interface Subscription {
  listeners: Set<(message: string | undefined) => void>
  acknowledged: Promise<unknown>
}

export function createRedisLink({ timeoutMs, createClient, report }: RedisLinkOptions): RedisLink {
  const subscriptions = new Map<string, Subscription>()
  let commands: Promise<Redis> | undefined
  let subscriber: Promise<Redis> | undefined
  let probe: ReturnType<typeof setInterval> | undefined
  let closed = false
  let down = false

  async function connect(options: RedisOptions): Promise<Redis> {
    const settings: RedisOptions = {
      lazyConnect: true,
      // Whoever waits for Redis waits in ready(), for a bounded time, and not in a queue of ioredis.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      retryStrategy: attempt => closed ? null : Math.min(MAX_RECONNECT_MS, 20 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2),
      // After a failover the old primary may be a replica, which refuses to write.
      reconnectOnError: error => error.message.startsWith('READONLY'),
      ...options,
    }
    const client = await createClient(settings)
    // One listener for each that waits, and any number may.
    client.setMaxListeners(0)
    client.on('error', (error) => {
      if (!down) report('Redis cannot be reached: what is published is refused until it can be.', error)
      down = true
    })
    client.on('ready', () => {
      if (down) report('Redis is back.')
      down = false
    })
    // It goes on trying by itself.
    if (client.status === 'wait') client.connect().catch(() => {})
    return client
  }

  /** A failed first attempt is not remembered: a package that is missing now may be installed later. */
  function commandClient(): Promise<Redis> {
    return commands ??= connect({}).catch((error) => {
      commands = undefined
      throw unavailable(error)
    })
  }

  function subscriberClient(): Promise<Redis> {
    return subscriber ??= connect({ autoResubscribe: false }).then((client) => {
      let first = true
      client.on('message', (channel, message) => {
        for (const listener of subscriptions.get(channel)?.listeners ?? []) listener(message)
      })
      client.on('ready', () => {
        // The first time, whoever has asked is about to subscribe.
        if (!first) void resubscribe(client)
        first = false
      })
      probe = unref(setInterval(() => void ask(client), PROBE_MS))
      return client
    }).catch((error) => {
      subscriber = undefined
      throw unavailable(error)
    })
  }

  /** What was published while the connection was away has reached nobody: everybody is told to look at the log. */
  async function resubscribe(client: Redis): Promise<void> {
    const all = [...subscriptions]
    if (all.length === 0) return
    const acknowledged = client.subscribe(...all.map(([channel]) => channel))
    for (const [, subscription] of all) subscription.acknowledged = acknowledged
    try {
      await acknowledged
      for (const [, { listeners }] of all) for (const listener of listeners) listener(undefined)
    }
    catch {
      // Cut again: the next `ready` does it anew.
      client.disconnect(true)
    }
  }

  async function ask(client: Redis): Promise<void> {
    if (client.status !== 'ready') return
    await client.ping().catch(() => client.disconnect(true))
  }

  async function ready(client: Redis): Promise<Redis> {
    if (client.status === 'ready') return client
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer)
        client.off('ready', done)
        if (client.status === 'ready') resolve(client)
        else reject(unavailable(new Error(`The connection is ${client.status}.`)))
      }
      const timer = setTimeout(done, timeoutMs)
      client.on('ready', done)
    })
  }

  return {
    async run(command) {
      if (closed) throw unavailable(new Error('The driver is closed.'))
      return command(await ready(await commandClient()))
    },

    async subscribe(channel, onMessage) {
      if (closed) throw unavailable(new Error('The driver is closed.'))
      let subscription = subscriptions.get(channel)
      if (!subscription) {
        subscription = { listeners: new Set(), acknowledged: subscriberClient().then(ready).then(client => client.subscribe(channel)) }
        subscriptions.set(channel, subscription)
      }
      subscription.listeners.add(onMessage)
      const release = () => {
        if (!subscription.listeners.delete(onMessage) || subscription.listeners.size > 0) return
        if (subscriptions.get(channel) !== subscription) return
        subscriptions.delete(channel)
        // In order on one connection: who subscribes again a moment later is behind this, and stays subscribed.
        void subscriber?.then(client => client.status === 'ready' && client.unsubscribe(channel)).catch(() => {})
      }
      try {
        await subscription.acknowledged
        return release
      }
      catch (error) {
        release()
        throw unavailable(error)
      }
    },

    async close() {
      closed = true
      clearInterval(probe)
      subscriptions.clear()
      const clients = await Promise.allSettled([commands, subscriber])
      for (const client of clients) if (client.status === 'fulfilled') client.value?.disconnect()
    },
  }
}

export function unavailable(cause: unknown): SSEError {
  if (cause instanceof SSEError) return cause
  return new SSEError('DRIVER_UNAVAILABLE', '[nuxt-sse] [redis] Redis cannot be reached at the moment.', { statusCode: 503, cause })
}
