import type { PositionRequest } from '../../shared/position'
import { outside } from '../lib/async-context'
import { ChannelReader } from './channel-reader'
import type { LogDriver } from '../drivers/types'
import { HubChannel } from './hub-channel'
import { ReadGate } from '../lib/read-gate'
import { RecentMemory } from './recent-memory'
import { firstGuess, locate } from './locate'

/**
 * The channels that somebody in this process reads: one driver subscription each, whatever the number of readers.
 */
export class Hub {
  readonly #channels = new Map<string, HubChannel>()
  readonly #driver: LogDriver
  readonly #memory: RecentMemory
  readonly #gate: Pick<ReadGate, 'run'>

  constructor(driver: LogDriver, memory = new RecentMemory()) {
    this.#driver = driver
    this.#memory = memory
    this.#gate = driver.gate ?? new ReadGate()
  }

  /** Channels with a reader: 0 when nothing is left. */
  get size(): number {
    return this.#channels.size
  }

  /** Those channels, by name, with their readers. */
  get channels(): ReadonlyMap<string, { readonly readers: ReadonlySet<unknown> }> {
    return this.#channels
  }

  /**
   * A reader that begins where `request` says. Rejects when the driver cannot be reached.
   * The caller releases it with `close()`.
   */
  async reader(name: string, request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now'): Promise<ChannelReader> {
    let channel = this.#channels.get(name)
    const isFirst = !channel
    if (!channel) {
      channel = outside(() => new HubChannel(name, this.#driver, this.#gate, this.#memory, firstGuess(request, from)))
      this.#channels.set(name, channel)
    }
    const reader: ChannelReader = new ChannelReader(channel, () => this.#leave(channel, reader))
    channel.join(reader)
    try {
      await channel.ready
      // Not the state that the hub has: a channel may have been trimmed since, and a position that another process
      // has just handed out must not be taken for one beyond the end. What the first one has asked for is as new as its question.
      // Nor are messages shown before that: the channel may have been deleted, or begun anew, and the notice of it be late, or lost.
      if (!isFirst) await channel.refresh()
      reader.begin(locate(request, from, channel.log))
      return reader
    }
    catch (error) {
      reader.close()
      throw error
    }
  }

  /** Has the channels looked at whose producer may be lost by now. */
  lookForLost(): void {
    for (const channel of this.#channels.values()) channel.lookIfLost()
  }

  #leave(channel: HubChannel, reader: ChannelReader): void {
    channel.leave(reader)
    if (channel.readers.size > 0) return
    channel.stop()
    // A failed channel may have been replaced already.
    if (this.#channels.get(channel.name) === channel) this.#channels.delete(channel.name)
  }
}
