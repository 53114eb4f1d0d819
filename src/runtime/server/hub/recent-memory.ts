import type { RecentMessages } from './recent-messages'

/**
 * What all recent messages of a process may take, also of channels that nobody reads here any more: about fifty answers of 2,000 tokens.
 * Beyond it those of the channel that was used longest ago are let go of, and its readers ask the log.
 */
const LIMIT_BYTES = 33_554_432

/** The recent messages of a process by channel, in the order in which they were used. */
export class RecentMemory {
  readonly #channels = new Map<string, { recent: RecentMessages, bytes: number }>()
  #bytes = 0

  constructor(private readonly limitBytes = LIMIT_BYTES) {}

  get bytes(): number {
    return this.#bytes
  }

  get(channel: string): RecentMessages | undefined {
    return this.#channels.get(channel)?.recent
  }

  /** To be told of each change. What the channel had before is let go of. */
  keep(channel: string, recent: RecentMessages): void {
    this.delete(channel)
    const bytes = recent.bytes
    if (bytes === 0) return
    this.#channels.set(channel, { recent, bytes })
    this.#bytes += bytes
    while (this.#bytes > this.limitBytes && this.#channels.size > 1) {
      const [oldest, { recent }] = this.#channels.entries().next().value!
      recent.forget()
      this.delete(oldest)
    }
  }

  delete(channel: string): void {
    this.#bytes -= this.#channels.get(channel)?.bytes ?? 0
    this.#channels.delete(channel)
  }
}
