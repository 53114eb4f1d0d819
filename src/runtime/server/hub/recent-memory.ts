import { BoundedMap } from '../lib/bounded-map'
import type { RecentMessages } from './recent-messages'

/**
 * What all recent messages of a process may take, also of channels that nobody reads here any more: about fifty answers of 2,000 tokens.
 * Beyond it those of the channel that was used longest ago are let go of, and its readers ask the log.
 */
const LIMIT_BYTES = 33_554_432

/** The recent messages of a process by channel, in the order in which they were used. */
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

  /** To be told of each change. What the channel had before is let go of. */
  keep(channel: string, recent: RecentMessages): void {
    const { bytes } = recent
    if (bytes === 0) this.#channels.delete(channel)
    else this.#channels.set(channel, { recent, bytes })
  }

  delete(channel: string): void {
    this.#channels.delete(channel)
  }
}
