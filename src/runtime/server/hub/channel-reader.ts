import { SSEError } from '../../shared/errors'
import type { SSEPublicError } from '../../shared/errors'
import { formatPosition } from '../../shared/position'
import type { StreamPosition } from '../../shared/position'
import type { SSEGap } from '../../shared/protocol'
import { publicChannelName, withoutSecret } from '../../shared/secret-epoch'
import type { LogState } from '../drivers/types'
import { retryDelayMs } from '../lib/delays'
import { processTimeout } from '../lib/tick'
import type { HubChannel } from './hub-channel'
import { PAGE_LIMIT, Run } from './run'
import { READ_RETRY } from './rereads'
import { gapAfter } from './replay-start'
import type { resolveStart } from './replay-start'

export type ReaderStep
  = | { type: 'messages', run: Run }
    | { type: 'gap', gap: SSEGap }
    | { type: 'end' }
    | { type: 'error', error: SSEPublicError }
    /**
     * The driver cannot be reached. Returned once per outage. After a delay the reader calls `wake`, and its next step retries the read.
     */
    | { type: 'unreachable', error: unknown }

/** Source of steps for a stream or a waiting poll: one channel, or several in turn. */
export interface Reader {
  /** Called when {@link step} may have a result again after it had none. */
  wake: () => void
  step(): ReaderStep | Promise<ReaderStep | undefined> | undefined
  close(): void
  /** Reader of the channel of the last step. */
  readonly current: ChannelReader
  /** Key of that channel among several; `undefined` if there is one channel, or if the step concerns all of them. */
  readonly key: string | undefined
  /** ID after the last step; `undefined` if only messages have IDs. */
  readonly id: string | undefined
  /** Encodes the messages of the last step. */
  encode(run: Run): Uint8Array
}

const NOTHING = (): void => {}

/** Position of one reader in a channel. Its owner pulls messages from it, and it keeps no state but the position. */
export class ChannelReader implements Reader {
  epoch = ''
  offset = 0
  /** Whether it continues from the requested position. */
  resumed = false
  /** Gap to deliver before the first message. */
  gap: SSEGap | null = null
  #life = 0
  #closed = false
  /** Failed reads since the last step. */
  #failures = 0
  /** Timer of the next retry. */
  #retry?: ReturnType<typeof setTimeout>
  /** Messages that were read already: when the reader began, or along with a gap. */
  #opening?: Run

  constructor(private readonly channel: HubChannel, private readonly onClose: () => void) {}

  /** Called when {@link step} may have a result again after it had none. To be replaced. */
  wake(): void {}

  /** Name of the channel. */
  get name(): string {
    return this.channel.name
  }

  get position(): string {
    return formatPosition(this.epoch, this.offset)
  }

  /** Text of the position where it is none of the log's: a reader that needs a snapshot first. */
  get marker(): string | undefined {
    return undefined
  }

  get id(): string {
    return this.position
  }

  get key(): string | undefined {
    return undefined
  }

  get current(): this {
    return this
  }

  /** Whether everything was read and nothing will follow. */
  get complete(): boolean {
    const { closing } = this.channel.log
    return closing !== null && this.isUpToDate
  }

  /** Whether it has everything that this process knows of. */
  get isUpToDate(): boolean {
    return !this.gap && this.#life === this.channel.log.life && this.offset >= this.channel.log.last
  }

  /** Whether nothing is left to send: it is {@link complete}, and has not failed. */
  get exhausted(): boolean {
    return this.complete && !this.closing?.error
  }

  /** Closing of the channel, if it has ended. */
  get closing(): LogState['closing'] {
    return this.channel.log.closing
  }

  begin({ offset, resumed, gap }: ReturnType<typeof resolveStart>): void {
    this.epoch = this.channel.log.epoch
    this.#life = this.channel.log.life
    this.offset = offset
    this.resumed = resumed
    this.gap = gap
    this.#opening = this.channel.takeOpening()
  }

  /** Continues after a message of the log that the reader received in another form. */
  protected continueAt({ epoch, offset }: StreamPosition): void {
    this.epoch = epoch
    this.offset = offset
    // A life that the hub does not know yet is noticed with its first message.
    this.#life = this.channel.log.life
  }

  /**
   * Returns the next step, at once or after a read of the log; nothing while there is no news. `wake` is called when there is. The position
   * is already after a returned step, unless the driver cannot be reached. Never rejects. One call at a time. A closed reader returns
   * nothing. Without `mayRead`, it returns only what needs no read of the log.
   */
  step(mayRead = true): ReaderStep | Promise<ReaderStep | undefined> | undefined {
    if (this.#closed) return undefined
    const { channel } = this
    if (this.#life !== channel.log.life) this.#lose()
    if (this.gap) return this.#tell(this.gap)
    if (this.offset < channel.log.last) {
      const run = channel.log.runAfter(this.offset, PAGE_LIMIT.bytes) ?? this.#opened()
      if (run) return this.#take(run)
      return this.#retry || !mayRead ? undefined : this.#ask()
    }
    if (!this.complete) return undefined
    const { error } = channel.log.closing!
    return error ? { type: 'error', error } : { type: 'end' }
  }

  encode(run: Run): Uint8Array {
    return run.bytes
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.wake = NOTHING
    this.#opening = undefined
    clearTimeout(this.#retry)
    this.onClose()
  }

  /** Messages that were read already, if they continue from this position. */
  #opened(): Run | undefined {
    const run = this.#opening
    this.#opening = undefined
    return run?.epoch === this.epoch && run.entries[0]!.offset === this.offset + 1 ? run : undefined
  }

  /** Reads from the log. Open connections outlive an outage: a failed read is retried until one succeeds, or the reader is closed. */
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
    // The reader may have been closed during any read. No further read may start for it.
    if (this.#closed || !page) return undefined
    if (this.#life !== channel.log.life) return this.step()
    if (page.epoch === this.epoch) {
      const gap = gapAfter(this, page)
      // The page follows the gap. If little is kept and much is written, a later page would have a gap again.
      if (gap && page.entries.length) this.#opening = new Run(page.epoch, page.entries)
      if (gap) return this.#tell(gap)
      if (page.entries.length) return this.#take(new Run(page.epoch, page.entries))
      if (this.offset >= channel.log.last) return undefined
    }
    // The log is not the announced one, or ends earlier: `refresh` reveals which, and begins a new life.
    await channel.refresh()
    if (this.#closed) return undefined
    if (this.#life !== channel.log.life || this.offset >= channel.log.last) return this.step()
    // An immediate retry could loop forever.
    throw new SSEError('DRIVER_UNAVAILABLE', `Channel \`${publicChannelName(this.name)}\`: newer messages than ${withoutSecret(this.position)} were announced, but the driver does not return them.`, { statusCode: 503 })
  }

  /** Handles a log that was replaced since this reader began: the messages so far belong to another life. */
  #lose(): void {
    this.#life = this.channel.log.life
    this.gap = gapAfter({ epoch: '', offset: this.offset }, this.channel.log)
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
