import { BoundedMap } from '../lib/bounded-map'
import type { RecentMessages } from './recent-messages'

/**
 * Maximum bytes of all recent messages of a process, including channels without readers here: about fifty answers of 2,000 tokens. Beyond
 * it, the channel whose messages changed longest ago is evicted, and its readers read the log.
 */
const LIMIT_BYTES = 33_554_432

/** Recent messages of a process by channel, in the order of their latest changes. */
export class RecentMemory {
  readonly #channels: BoundedMap<string, { recent: RecentMessages, bytes: number }>

  constructor(limit = LIMIT_BYTES) {
    this.#channels = new BoundedMap({ limit, weigh: ({ bytes }) => bytes, onDrop: (_, { recent }) => recent.forget() })
  }

  get bytes(): number {
    return this.#channels.weight
  }

  get(channel: string): RecentMessages | undefined {
    return this.#channels.get(channel)?.recent
  }

  /** Must be called after each change. Replaces the channel's previous messages. */
  keep(channel: string, recent: RecentMessages): void {
    const { bytes } = recent
    if (bytes === 0) this.#channels.delete(channel)
    else this.#channels.set(channel, { recent, bytes })
  }

  delete(channel: string): void {
    this.#channels.delete(channel)
  }
}
