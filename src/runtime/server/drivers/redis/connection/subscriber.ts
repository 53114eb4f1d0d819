import type { Redis } from 'ioredis'
import { SSEError } from '../../../../shared/errors'
import { withoutSecret } from '../../../../shared/secret-epoch'
import { unref } from '../../../lib/tick'
import { RETRY_MS, ready } from './client'
import { isReply, unavailable } from '../errors'
import { within } from '../../../lib/within'

/** Interval at which the connection is probed, in milliseconds: a dead connection can look alive. */
const PROBE_MS = 3_000

/** Number of channels in one subscribe command after a reconnect. */
const SUBSCRIBE_TOGETHER = 100

export interface RedisSubscriberEvents {
  onMessage(channel: string, message: string): void
  /** Called when messages on these channels may have been missed while the connection was down. */
  onMissed(channels: string[]): void
  /** Called when the connection is lost, or could not subscribe to some of its channels, which may have moved to another node. */
  onLost?(): void
}

/** One connection that subscribes to channels, and resubscribes after each reconnect. */
export class RedisSubscriber {
  readonly channels = new Set<string>()
  readonly #probe: ReturnType<typeof setInterval>
  #first: boolean
  /** Number of reconnects. */
  #run = 0

  constructor(
    readonly client: Redis,
    private readonly timeoutMs: number,
    private readonly events: RedisSubscriberEvents,
    /** Sharded pub/sub (Redis 7): a message stays on the node that has the channel's slot. */
    private readonly sharded = false,
  ) {
    this.#first = client.status !== 'ready'
    // Each subscribe in a cluster adds a listener, and there may be any number.
    client.setMaxListeners(0)
    client.on(sharded ? 'smessage' : 'message', (channel, message) => {
      if (this.channels.has(channel)) events.onMessage(channel, message)
    })
    client.on('ready', () => {
      // The first time, the callers of `add` subscribe.
      if (!this.#first) void this.#resubscribe()
      this.#first = false
    })
    client.on('close', () => events.onLost?.())
    // A node that loses a slot ends its subscriptions unrequested, which ioredis takes for the answer to another command.
    if (sharded) client.on('error', () => client.status === 'ready' && client.disconnect(true))
    this.#probe = unref(setInterval(() => void this.#ask(), PROBE_MS))
  }

  /** Subscribes to a channel. Resolves when Redis has acknowledged, also if the connection breaks meanwhile and is back in time. */
  async add(channel: string, until: number): Promise<void> {
    this.channels.add(channel)
    while (true) {
      try {
        await ready(this.client, until)
        if (!this.channels.has(channel)) throw unavailable(new Error(`The subscription to \`${withoutSecret(channel)}\` was cancelled.`))
        return void await within(until, this.#subscribe(channel))
      }
      catch (error) {
        // In a cluster, the channel may have moved: `RedisShards` retries on the other node.
        if (this.sharded || error instanceof SSEError || isReply(error) || performance.now() >= until) throw error
        await new Promise(resolve => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  /** Unsubscribes. Commands of one connection stay in order, so that a subscribe right after this one remains in effect. */
  delete(channel: string): void {
    if (!this.channels.delete(channel) || this.client.status !== 'ready') return
    const done: Promise<unknown> = this.sharded ? this.client.sunsubscribe(channel) : this.client.unsubscribe(channel)
    done.catch(() => {})
  }

  close(): void {
    clearInterval(this.#probe)
    this.channels.clear()
    this.client.disconnect()
  }

  #subscribe(channel: string): Promise<unknown> {
    const { client } = this
    if (!this.sharded) return client.subscribe(channel)
    return new Promise((resolve, reject) => {
      // ioredis emits an event on the client, and leaves the command without an answer.
      const onMoved = () => reject(new Error(`The slot of \`${withoutSecret(channel)}\` has moved to another node.`))
      client.once('moved', onMoved)
      void client.ssubscribe(channel).then(resolve, reject).finally(() => client.off('moved', onMoved))
    })
  }

  /** Resubscribes in parts, so that thousands of channels block neither this process nor Redis. Readers are notified part by part. */
  async #resubscribe(): Promise<void> {
    const run = ++this.#run
    const channels = [...this.channels]
    let failed = false
    while (channels.length && run === this.#run) {
      // Skips channels that were unsubscribed since.
      const part = channels.splice(0, SUBSCRIBE_TOGETHER).filter(channel => this.channels.has(channel))
      const done = await this.#subscribeAll(part)
      if (done.length) this.events.onMissed(done)
      failed ||= done.length < part.length
    }
    if (!failed || run !== this.#run) return
    this.events.onLost?.()
    // A reconnect retries. Not in a cluster, where a node may have refused because it no longer has the slot.
    if (!this.sharded) this.client.disconnect(true)
  }

  /** Resolves with the channels that Redis has acknowledged. */
  async #subscribeAll(channels: string[]): Promise<string[]> {
    const until = performance.now() + this.timeoutMs
    if (!this.sharded && channels.length > 1) {
      const together = await within(until, this.client.subscribe(...channels)).catch(() => undefined)
      if (together !== undefined) return channels
    }
    // One command per channel. In a cluster, the channels are in different slots, and Redis refuses a whole command if it refuses one of
    // its channels.
    const answers = await Promise.allSettled(channels.map(channel => within(until, this.#subscribe(channel))))
    return channels.filter((_, index) => answers[index]!.status === 'fulfilled')
  }

  async #ask(): Promise<void> {
    if (this.client.status !== 'ready') return
    await within(performance.now() + this.timeoutMs, this.client.ping()).catch(() => this.client.disconnect(true))
  }
}
