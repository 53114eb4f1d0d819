import type { Cluster } from 'ioredis'
import { withoutSecret } from '../../../../shared/secret-epoch'
import { spread } from '../../../lib/delays'
import { unref } from '../../../lib/tick'
import { RETRY_MS, keepConnected, redisSettings } from './client'
import { unavailable } from '../errors'
import type { RedisSubscriberEvents } from './subscriber'
import { RedisSubscriber } from './subscriber'
import { within } from '../../../lib/within'

/** Interval at which the slots of the cluster are requested again, in milliseconds, while a subscription is not on the node of its slot. */
const REFRESH_MS = 250

interface Place {
  /** Slot of the channel; `undefined` until the cluster has returned it. */
  slot?: number
  /** Node that has acknowledged the subscription, or is about to; `undefined` when none has. */
  node?: string
}

/**
 * Subscriptions in a cluster: one connection to each primary that has a channel, since sharded pub/sub stays on the node of the slot.
 * Subscriptions move with their slots.
 */
export class RedisShards {
  readonly #nodes = new Map<string, RedisSubscriber>()
  readonly #places = new Map<string, Place>()
  #refresh?: ReturnType<typeof setTimeout>
  #closed = false

  constructor(
    private readonly cluster: Cluster,
    private readonly timeoutMs: number,
    private readonly events: RedisSubscriberEvents,
  ) {
    // ioredis has new slots: a slot has moved, or a node was lost.
    cluster.on('refresh', () => this.#rebalance())
  }

  /** Subscribes to a channel. Resolves when the node that has the channel's slot has acknowledged. */
  async add(channel: string, until: number): Promise<void> {
    const place: Place = {}
    this.#places.set(channel, place)
    place.slot = Number(await within(until, this.cluster.cluster('KEYSLOT', channel)))
    while (true) {
      // Closed or unsubscribed meanwhile: no connection may be opened for it.
      if (this.#places.get(channel) !== place) throw unavailable(new Error(`The subscription to \`${withoutSecret(channel)}\` was cancelled.`))
      try {
        return await this.#subscribe(channel, place, until)
      }
      catch (error) {
        if (performance.now() + REFRESH_MS >= until) throw error
        await this.#slots(until)
      }
    }
  }

  delete(channel: string): void {
    const node = this.#places.get(channel)?.node
    this.#places.delete(channel)
    if (node) this.#leave(node, channel)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#refresh)
    this.#places.clear()
    const subscribers = [...this.#nodes.values()]
    this.#nodes.clear()
    for (const subscriber of subscribers) subscriber.close()
  }

  async #subscribe(channel: string, place: Place, until: number): Promise<void> {
    const owner = this.#ownerOf(place.slot)
    if (!owner) throw unavailable(new Error(`No node of the cluster owns slot ${place.slot}.`))
    if (place.node && place.node !== owner) this.#leave(place.node, channel)
    place.node = owner
    try {
      await this.#subscriberAt(owner).add(channel, until)
    }
    catch (error) {
      if (place.node === owner) place.node = undefined
      throw error
    }
  }

  #ownerOf(slot: number | undefined): string | undefined {
    return slot === undefined ? undefined : this.cluster.slots[slot]?.[0]
  }

  #subscriberAt(node: string): RedisSubscriber {
    const subscriber = this.#nodes.get(node)
    if (subscriber) return subscriber
    const known = this.cluster.nodes('all').find(({ options }) => `${options.host}:${options.port}` === node)
    if (!known) throw unavailable(new Error(`The node ${node} is no longer part of the cluster.`))
    const client = known.duplicate({ ...redisSettings(this.timeoutMs, 'subscriptions'), readOnly: false })
    // An error is followed by `close`, which is handled.
    client.on('error', () => {})
    const made = new RedisSubscriber(client, this.timeoutMs, { ...this.events, onLost: () => this.#refreshSoon() }, true)
    this.#nodes.set(node, made)
    keepConnected(client, () => this.#nodes.get(node) === made)
    return made
  }

  #leave(node: string, channel: string): void {
    const subscriber = this.#nodes.get(node)
    subscriber?.delete(channel)
    if (!subscriber || subscriber.channels.size > 0) return
    this.#nodes.delete(node)
    subscriber.close()
  }

  /** Moves the subscriptions that are not on the node of their slot. */
  #rebalance(): void {
    for (const [channel, place] of this.#places) {
      if (place.slot === undefined || (place.node && place.node === this.#ownerOf(place.slot))) continue
      this.#subscribe(channel, place, performance.now() + this.timeoutMs)
        .then(() => this.events.onMissed([channel]), () => this.#refreshSoon())
    }
  }

  /** Requests the slots again until every subscription has its node: a lost node may be back soon, or may have been replaced. */
  #refreshSoon(): void {
    if (this.#closed || this.#refresh) return
    this.#refresh = unref(setTimeout(async () => {
      await this.#slots(performance.now() + this.timeoutMs)
      this.#refresh = undefined
      const settled = [...this.#places.values()].every(({ node }) => node && this.#nodes.get(node)?.client.status === 'ready')
      if (!settled) this.#refreshSoon()
    }, spread(REFRESH_MS)))
  }

  /** Requests the assignment of slots to nodes. Resolves even if no node answers. */
  async #slots(until: number): Promise<void> {
    const asked = new Promise<void>(resolve => this.cluster.refreshSlotsCache(() => resolve()))
    await within(until, asked).catch(() => {})
    // If no node can be reached, this resolves at once: callers that retry must pause.
    await new Promise(resolve => setTimeout(resolve, RETRY_MS))
  }
}
