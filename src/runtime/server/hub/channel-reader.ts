import { SSEError } from '../../shared/errors'
import type { SSEPublicError } from '../../shared/errors'
import { formatPosition } from '../../shared/position'
import type { SSEGap } from '../../shared/protocol'
import { publicChannelName, withoutSecret } from '../../shared/secret-epoch'
import type { LogState } from '../drivers/types'
import { retryDelayMs } from '../lib/delays'
import { processTimeout } from '../lib/tick'
import type { HubChannel } from './hub-channel'
import { PAGE_LIMIT, Run } from './run'
import { READ_RETRY } from './rereads'
import { gapBehind } from './locate'
import type { locate } from './locate'

export type ReaderStep
  = | { type: 'messages', run: Run }
    | { type: 'gap', gap: SSEGap }
    | { type: 'end' }
    | { type: 'error', error: SSEPublicError }
    /** The driver cannot be reached. Reported once in an outage: the reader repeats its read, and wakes its owner. */
    | { type: 'unreachable', error: unknown }

/** One reader's place in a channel. It is pulled, and keeps nothing but its position. */
export class ChannelReader {
  epoch = ''
  offset = 0
  /** Whether it goes on from the position that was asked for. */
  resumed = false
  /** What it must be told before its first message. */
  gap: SSEGap | null = null
  /** Called when {@link step} may have something again after it had nothing. */
  wake: () => void = () => {}

  #life = 0
  #closed = false
  /** Reads that have failed since its last step. */
  #failures = 0
  /** The next repeat of a read that failed. */
  #retry?: ReturnType<typeof setTimeout>
  /** Read already: when it began, or along with a gap. */
  #opening?: Run

  constructor(private readonly channel: HubChannel, private readonly onClose: () => void) {}

  /** The channel's. */
  get name(): string {
    return this.channel.name
  }

  get position(): string {
    return formatPosition(this.epoch, this.offset)
  }

  /** Everything was read, and nothing will follow. */
  get complete(): boolean {
    const { closing, life, last } = this.channel.log
    return !this.gap && closing !== null && this.#life === life && this.offset >= last
  }

  /** How the channel ended, if it has. */
  get closing(): LogState['closing'] {
    return this.channel.log.closing
  }

  begin({ offset, resumed, gap }: ReturnType<typeof locate>): void {
    this.epoch = this.channel.log.epoch
    this.#life = this.channel.log.life
    this.offset = offset
    this.resumed = resumed
    this.gap = gap
    this.#opening = this.channel.takeOpening()
  }

  /**
   * What comes next: now, or after the log was asked, or nothing (`wake` is called then). The position has moved behind
   * it when this returns, unless the driver cannot be reached. Never rejects. One call at a time. A closed reader has nothing.
   */
  step(): ReaderStep | Promise<ReaderStep | undefined> | undefined {
    if (this.#closed) return undefined
    const { channel } = this
    if (this.#life !== channel.log.life) this.#lose()
    if (this.gap) return this.#tell(this.gap)
    if (this.offset < channel.log.last) {
      const run = channel.log.runAfter(this.offset, PAGE_LIMIT.bytes) ?? this.#opened()
      if (run) return this.#take(run)
      return this.#retry ? undefined : this.#ask()
    }
    if (!this.complete) return undefined
    const { error } = channel.log.closing!
    return error ? { type: 'error', error } : { type: 'end' }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.wake = () => {}
    this.#opening = undefined
    clearTimeout(this.#retry)
    this.onClose()
  }

  /** What was read already, if it continues from here. */
  #opened(): Run | undefined {
    const run = this.#opening
    this.#opening = undefined
    return run?.epoch === this.epoch && run.entries[0]!.offset === this.offset + 1 ? run : undefined
  }

  /** Open connections outlive an outage: a read that failed is repeated until one succeeds, or the reader is closed. */
  async #ask(): Promise<ReaderStep | undefined> {
    try {
      return await this.#read()
    }
    catch (error) {
      if (this.#closed) return undefined
      this.#retry = processTimeout(() => {
        this.#retry = undefined
        this.wake()
      }, retryDelayMs(READ_RETRY, this.#failures))
      return this.#failures++ === 0 ? { type: 'unreachable', error } : undefined
    }
  }

  async #read(): Promise<ReaderStep | undefined> {
    const { channel } = this
    const page = await channel.readFor({ offset: this.offset, closed: () => this.#closed, repeated: this.#failures > 0 })
    // The reader may have been closed during each read: nothing may be read for it any more.
    if (this.#closed || !page) return undefined
    if (this.#life !== channel.log.life) return this.step()
    if (page.epoch === this.epoch) {
      const gap = gapBehind(this, page)
      // The page follows the gap. Where little is kept and much is written, the next one would have a gap again.
      if (gap && page.entries.length) this.#opening = new Run(page.epoch, page.entries)
      if (gap) return this.#tell(gap)
      if (page.entries.length) return this.#take(new Run(page.epoch, page.entries))
      if (this.offset >= channel.log.last) return undefined
    }
    // The log is not the one that was announced, or ends before: the channel finds out, and begins a new life.
    await channel.refresh()
    if (this.#closed) return undefined
    if (this.#life !== channel.log.life || this.offset >= channel.log.last) return this.step()
    // Asking again at once would go on for ever.
    throw new SSEError('DRIVER_UNAVAILABLE', `Channel \`${publicChannelName(this.name)}\`: the log has nothing behind ${withoutSecret(this.position)}, although newer messages were announced.`, { statusCode: 503 })
  }

  /** The log has begun anew since this reader began: whatever it has had is of another life. */
  #lose(): void {
    this.#life = this.channel.log.life
    this.gap = gapBehind({ epoch: '', offset: this.offset }, this.channel.log)
  }

  #take(run: Run): ReaderStep {
    this.offset = run.last
    this.#failures = 0
    return { type: 'messages', run }
  }

  #tell(gap: SSEGap): ReaderStep {
    this.gap = null
    this.#failures = 0
    this.epoch = gap.position.slice(0, gap.position.lastIndexOf('.'))
    this.offset = Number(gap.position.slice(this.epoch.length + 1))
    return { type: 'gap', gap }
  }
}
