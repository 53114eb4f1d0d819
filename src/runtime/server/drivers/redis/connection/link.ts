import type { Cluster, Redis } from 'ioredis'
import type { CreateRedisClient, RedisClient, RedisRole } from './client'
import { isCluster, keepConnected, ready, redisSettings } from './client'
import { isRefusal, isReply, isTransient, unavailable, withCause } from '../errors'
import { RedisOutage } from './outage'
import { RedisShards } from './shards'
import { RedisSubscriber } from './subscriber'
import { within } from '../../../lib/within'

/** Time without a failed node after which a cluster has recovered, in milliseconds. */
const CLUSTER_QUIET_MS = 5_000
/** Message of ioredis for a connection whose own error it has reported before. */
const CONNECTION_CLOSED = 'Connection is closed.'

export interface RedisLinkOptions {
  timeoutMs: number
  createClient: CreateRedisClient
  /** Called once when Redis becomes unreachable, and once when it is back. */
  report(message: string, cause?: unknown): void
  /** Called when Redis, or a part of it, may be another instance than before: the last writes may be lost. */
  onReturn(): void
}

/**
 * Connections of a process to Redis: one for commands and one for subscriptions. In a cluster, one of each kind to every primary in use.
 */
export interface RedisLink {
  /** Runs a command. Rejects with `DRIVER_UNAVAILABLE` when Redis cannot be reached by `until`, in `performance.now()` time. */
  run<T>(until: number, command: (client: RedisClient) => Promise<T>): Promise<T>
  /**
   * Subscribes to a channel. Resolves when Redis has acknowledged. `onMessage` receives every message, and `undefined` when some may have
   * been missed.
   */
  subscribe(channel: string, onMessage: (message: string | undefined) => void): Promise<() => void>
  /** Whether this process is subscribed to the channel, so that it is notified when messages may have been missed. */
  isSubscribed(channel: string): boolean
  /** Reports a refusal of Redis, not more than once a minute. */
  refused(cause: unknown): void
  /**
   * Reports the error of an operation that was retried until its deadline, if Redis answered "not now": a replica, or a node of a cluster,
   * may do so forever.
   */
  gaveUp(error: unknown): void
  close(): Promise<void>
}

interface Subscription {
  listeners: Set<(message: string | undefined) => void>
  acknowledged: Promise<void>
}

export function createRedisLink({ timeoutMs, createClient, report, onReturn }: RedisLinkOptions): RedisLink {
  const subscriptions = new Map<string, Subscription>()
  let commands: Promise<RedisClient> | undefined
  let subscribers: Promise<RedisSubscriber | RedisShards> | undefined
  let clustered = false
  let closed = false
  // Connections that `close` ends are no outage.
  const outage = new RedisOutage((message, cause) => void (closed || report(message, cause)), () => clustered ? CLUSTER_QUIET_MS : 0)

  async function make(role: RedisRole): Promise<RedisClient> {
    try {
      return await createClient(redisSettings(timeoutMs, role), role)
    }
    catch (error) {
      // For example, the package is missing. The details are only reported: the caller's error may reach an unauthorized client.
      outage.failed(error)
      throw new Error('The Redis client could not be created.', { cause: error })
    }
  }

  async function connect(role: RedisRole): Promise<RedisClient> {
    const client = await make(role)
    // The error of one node or Sentinel matters when none of them can be reached.
    let nodeError: unknown
    client.on('node error', (error: Error) => {
      if (error.message !== CONNECTION_CLOSED) nodeError = error
    })
    client.on('error', error => outage.failed(withCause(error, nodeError)))
    client.on('ready', () => outage.connected())
    keepConnected(client, () => !closed)
    return client
  }

  /** Resolves with the client for commands. A failed first attempt is not remembered: a missing package may be installed later. */
  function commandClient(): Promise<RedisClient> {
    return commands ??= connect('commands').then((client) => {
      clustered = isCluster(client)
      watch(client)
      return client
    }).catch((error) => {
      commands = undefined
      throw unavailable(error)
    })
  }

  function watch(client: RedisClient): void {
    let first = client.status !== 'ready'
    client.on('ready', () => {
      if (!first) onReturn()
      first = false
    })
    // Nodes of a cluster can join and leave while the cluster stays available.
    if (isCluster(client)) client.on('+node', () => !first && onReturn())
  }

  function subscriberClients(): Promise<RedisSubscriber | RedisShards> {
    return subscribers ??= commandClient().then(async (client) => {
      const events = { onMessage: deliver, onMissed: (channels: string[]) => channels.forEach(channel => deliver(channel)) }
      if (isCluster(client)) return new RedisShards(await ready<Cluster>(client, performance.now() + timeoutMs), timeoutMs, events)
      return new RedisSubscriber(await connect('subscriptions') as Redis, timeoutMs, events)
    }).catch((error) => {
      subscribers = undefined
      throw unavailable(error)
    })
  }

  function deliver(channel: string, message?: string): void {
    for (const listener of subscriptions.get(channel)?.listeners ?? []) listener(message)
  }

  return {
    async run(until, command) {
      if (closed) throw unavailable(new Error('The Redis driver is closed.'))
      try {
        // `createClient` may take any time, but the operation waits no longer than its deadline.
        const client = await within(until, commandClient())
        const answer = await within(until, command(await ready(client, until)))
        outage.worked()
        return answer
      }
      catch (error) {
        if (isRefusal(error)) outage.refused(error)
        else if (!isReply(error)) outage.failed(error)
        throw error
      }
    },

    async subscribe(channel, onMessage) {
      if (closed) throw unavailable(new Error('The Redis driver is closed.'))
      let subscription = subscriptions.get(channel)
      const until = performance.now() + timeoutMs
      if (!subscription) {
        subscription = { listeners: new Set(), acknowledged: within(until, subscriberClients().then(clients => clients.add(channel, until))) }
        subscriptions.set(channel, subscription)
      }
      subscription.listeners.add(onMessage)
      const release = () => {
        if (!subscription.listeners.delete(onMessage) || subscription.listeners.size > 0) return
        if (subscriptions.get(channel) !== subscription) return
        subscriptions.delete(channel)
        void subscribers?.then(clients => clients.delete(channel)).catch(() => {})
      }
      try {
        await subscription.acknowledged
        return release
      }
      catch (error) {
        release()
        if (isReply(error)) outage.refused(error)
        throw unavailable(error)
      }
    },

    isSubscribed(channel) {
      return subscriptions.has(channel)
    },

    refused(cause) {
      outage.refused(cause)
    },

    gaveUp(error) {
      if (isTransient(error)) outage.refused(error)
    },

    async close() {
      closed = true
      subscriptions.clear()
      // Also closes clients that are still being created, without waiting for them.
      subscribers?.then(clients => clients.close()).catch(() => {})
      commands?.then(client => client.disconnect()).catch(() => {})
    },
  }
}
