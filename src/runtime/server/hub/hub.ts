import type { PositionRequest } from '../../shared/position'
import { outside } from '../lib/async-context'
import { ChannelReader } from './channel-reader'
import type { IdForm } from './channels-reader'
import { ChannelsReader, MemberReader } from './channels-reader'
import type { LogDriver } from '../drivers/types'
import { HubChannel } from './hub-channel'
import { ReadGate } from '../lib/read-gate'
import { RecentMemory } from './recent-memory'
import { probableOffset, resolveStart } from './replay-start'
import { SnapshotReader } from './snapshot-reader'
import type { Snapshot } from './snapshot-reader'

/** Requested start on one channel. */
export interface ReadStart {
  readonly name: string
  readonly request: PositionRequest | 'malformed' | undefined
  /** Start without a request. */
  readonly from: 'start' | 'now'
  /** Text of the request, if it was well-formed. */
  readonly asked?: string
  /** For a channel that stands for a state: loads its snapshot, for readers that do not resume. */
  readonly snapshot?: () => Promise<Snapshot>
}

/** Requested start on one of several channels. */
export interface KeyedStart extends ReadStart {
  readonly key: string
}

/** Channels with readers in this process. Each has one driver subscription, regardless of the number of readers. */
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

  /** Number of channels with a reader: 0 when none is left. */
  get size(): number {
    return this.#channels.size
  }

  /** Channels with a reader, by name, and their readers. */
  get channels(): ReadonlyMap<string, { readonly readers: ReadonlySet<unknown> }> {
    return this.#channels
  }

  /**
   * Creates a reader that begins at `request`. Rejects when the driver cannot be reached. The caller releases it with `close()`.
   */
  reader(name: string, request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now', snapshot?: ReadStart['snapshot']): Promise<ChannelReader> {
    return this.#open<ChannelReader>({ name, request, from }, (channel, onClose) => snapshot ? new SnapshotReader(channel, onClose, snapshot, undefined) : new ChannelReader(channel, onClose))
  }

  /** Creates a reader of several channels, as {@link reader} does for one. All of them begin, or none. */
  async readers(starts: readonly KeyedStart[], ids: IdForm): Promise<ChannelsReader> {
    const opened = await Promise.allSettled(starts.map(start => this.#open(start, (channel, onClose) => memberOf(channel, onClose, start))))
    const failed = opened.find(result => result.status === 'rejected')
    if (!failed) return new ChannelsReader(opened.map(result => (result as PromiseFulfilledResult<MemberReader>).value), ids)
    for (const result of opened) if (result.status === 'fulfilled') result.value.close()
    throw failed.reason
  }

  /** Reads what is new in a channel that has readers here. Rejects when the driver cannot be reached. */
  async refresh(name: string): Promise<void> {
    await this.#channels.get(name)?.refresh()
  }

  /** Rereads the channels whose producer may be lost by now. */
  lookForLost(): void {
    for (const channel of this.#channels.values()) channel.lookIfLost()
  }

  async #open<R extends ChannelReader>({ name, request, from }: ReadStart, create: (channel: HubChannel, onClose: () => void) => R): Promise<R> {
    let channel = this.#channels.get(name)
    const isFirst = !channel
    if (!channel) {
      channel = outside(() => new HubChannel(name, this.#driver, this.#gate, this.#memory, probableOffset(request, from)))
      this.#channels.set(name, channel)
    }
    const reader: R = create(channel, () => this.#leave(channel, reader))
    channel.join(reader)
    try {
      await channel.ready
      // Reads the log again instead of using the hub's state. The channel may have been trimmed since, and a position that another process
      // has just assigned must not count as beyond the end. The channel may also have been deleted or replaced, while the notice of it is
      // late or lost. For the first reader, the opening read is recent enough.
      if (!isFirst) await channel.refresh()
      reader.begin(resolveStart(request, from, channel.log))
      return reader
    }
    catch (error) {
      reader.close()
      throw error
    }
  }

  #leave(channel: HubChannel, reader: ChannelReader): void {
    channel.leave(reader)
    if (channel.readers.size > 0) return
    channel.stop()
    // A failed channel may have been replaced already.
    if (this.#channels.get(channel.name) === channel) this.#channels.delete(channel.name)
  }
}

function memberOf(channel: HubChannel, onClose: () => void, { key, asked, snapshot }: KeyedStart): MemberReader {
  return snapshot ? new SnapshotReader(channel, onClose, snapshot, key, asked) : new MemberReader(channel, onClose, key, asked)
}
