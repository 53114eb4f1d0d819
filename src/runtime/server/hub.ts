import { formatPosition } from '../shared/position'
import type { PositionRequest } from '../shared/position'
import { SSEError } from '../shared/errors'
import type { SSEPublicError } from '../shared/errors'
import type { SSEGap } from '../shared/protocol'
import type { LogDriver, LogNotice, LogPage, LogState } from './drivers/types'
import { RecentMessages, Run, gapBehind, locate } from './replay'
import { afterTick } from './tick'

/** What is kept of a channel that somebody reads, so that readers at its head need not ask the log. */
const RECENT_LIMIT = { messages: 1_024, bytes: 1_048_576 }
/** About what one reader is handed at a time: the most that a reader which stops reading has in its socket. */
const RUN_BYTES = 65_536
const PAGE_LIMIT = { messages: 1_000, bytes: RUN_BYTES }
/** How long until a driver that could not be reached is asked again. */
const RETRY_MS = 500

export type ReaderStep
  = | { type: 'messages', run: Run }
    | { type: 'gap', gap: SSEGap }
    | { type: 'end' }
    | { type: 'error', error: SSEPublicError }

/**
 * The channels that somebody in this process reads: one driver subscription each, whatever the number of readers.
 */
export class Hub {
  readonly #channels = new Map<string, HubChannel>()
  readonly #driver: LogDriver

  constructor(driver: LogDriver) {
    this.#driver = driver
  }

  /** Channels with a reader: 0 when nothing is left. */
  get size(): number {
    return this.#channels.size
  }

  /**
   * A reader that begins where `request` says. Rejects when the driver cannot be reached.
   * The caller releases it with `close()`.
   */
  async reader(name: string, request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now'): Promise<ChannelReader> {
    let channel = this.#channels.get(name)
    if (!channel) {
      channel = new HubChannel(name, this.#driver)
      this.#channels.set(name, channel)
    }
    const reader = new ChannelReader(channel, () => this.#forget(channel))
    channel.readers.add(reader)
    try {
      await channel.ready
      // Not the state that the hub has: a channel may have been trimmed since, and a position that another process
      // has just handed out must not be taken for one beyond the end.
      await channel.refresh()
      reader.begin(locate(request, from, channel.state))
      return reader
    }
    catch (error) {
      reader.close()
      throw error
    }
  }

  #forget(channel: HubChannel): void {
    if (channel.readers.size > 0) return
    channel.stop()
    // A failed channel may have been replaced already.
    if (this.#channels.get(channel.name) === channel) this.#channels.delete(channel.name)
  }
}

class HubChannel {
  readonly readers = new Set<ChannelReader>()
  /** Resolves when the driver has acknowledged the subscription and the state is known. */
  readonly ready: Promise<void>
  state!: LogState
  recent!: RecentMessages

  #stopped = false
  #unsubscribe?: () => void
  #refreshing?: Promise<void>
  #again = false
  #waking = false
  #retry?: ReturnType<typeof setTimeout>
  #recheck?: ReturnType<typeof setTimeout>

  constructor(readonly name: string, readonly driver: LogDriver) {
    this.ready = this.#start()
    // Every reader awaits it; when all have gone, nobody does.
    this.ready.catch(() => {})
  }

  /** Subscribe first, then read: what is published in between is in one of the two, or in both. */
  async #start(): Promise<void> {
    const unsubscribe = await this.driver.subscribe(this.name, notice => this.#onNotice(notice))
    if (this.#stopped) return unsubscribe()
    this.#unsubscribe = unsubscribe
    this.#adopt(await this.driver.state(this.name))
    this.#recheckLater()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    clearTimeout(this.#recheck)
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  #onNotice(notice: LogNotice): void {
    // What comes before the state is known lies in the log, which every reader asks before it begins.
    if (!this.state) return
    if (notice.type === 'append' && notice.epoch === this.state.epoch && this.recent.push(notice.entries)) {
      this.state.last = Math.max(this.state.last, notice.entries.at(-1)?.offset ?? 0)
      return this.#wake()
    }
    // A hole, another epoch, an ending: the log knows.
    this.#reread()
  }

  /** A notice that was lost with nothing behind it would be missed by nobody. Jittered, so that channels do not ask together. */
  #recheckLater(): void {
    if (this.#stopped || !this.driver.recheckMs) return
    this.#recheck = setTimeout(() => {
      this.#reread()
      this.#recheckLater()
    }, this.driver.recheckMs * (0.5 + Math.random()))
    ;(this.#recheck as { unref?: () => void }).unref?.()
  }

  /** What a notice told is told once: an ending that is not read now must be read later, or its readers wait for ever. */
  #reread(): void {
    this.refresh().catch(() => {
      if (this.#stopped) return
      clearTimeout(this.#retry)
      this.#retry = setTimeout(() => this.#reread(), RETRY_MS)
      ;(this.#retry as { unref?: () => void }).unref?.()
    })
  }

  /** Reads what the log has behind the newest message known here. One read at a time, and one more if asked meanwhile. */
  refresh(): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    this.#again = true
    return this.#refreshing ??= this.#refresh()
  }

  async #refresh(): Promise<void> {
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false
        const page = await this.driver.read(this.name, this.state.last, PAGE_LIMIT, this.state.epoch)
        if (page.epoch !== this.state.epoch) this.#adopt(page)
        else this.#merge(page)
      }
    }
    finally {
      // In one breath with the last look at `#again`: who asks a moment later must get a read of their own.
      this.#refreshing = undefined
    }
    this.#wake()
  }

  #adopt({ epoch, first, last, closing }: LogState): void {
    this.state = { epoch, first, last, closing }
    this.recent = new RecentMessages(epoch, last, RECENT_LIMIT)
  }

  #merge(page: LogPage): void {
    if (!this.recent.push(page.entries)) {
      // The log itself has lost what lay between: whoever stood there is told when it reads on.
      this.recent.reset(page.first - 1)
      this.recent.push(page.entries)
    }
    const reached = page.entries.at(-1)?.offset ?? (page.first > page.last ? page.last : 0)
    this.state.last = Math.max(this.state.last, reached)
    this.state.first = Math.max(this.state.first, page.first)
    // An ending counts only for who has read everything before it.
    if (this.state.last >= page.last) this.state.closing = page.closing
    else this.#again = true
  }

  #wake(): void {
    if (this.#waking) return
    this.#waking = true
    afterTick(() => {
      this.#waking = false
      for (const reader of this.readers) reader.wake()
    })
  }
}

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

  #closed = false

  constructor(private readonly channel: HubChannel, private readonly onClose: () => void) {}

  get position(): string {
    return formatPosition(this.epoch, this.offset)
  }

  /** Everything was read, and nothing will follow. */
  get complete(): boolean {
    const { state } = this.channel
    return !this.gap && state.closing !== null && state.epoch === this.epoch && this.offset >= state.last
  }

  /** Whether {@link step} has something. */
  get hasNews(): boolean {
    const { state } = this.channel
    return this.gap !== null || this.epoch !== state.epoch || this.offset < state.last || state.closing !== null
  }

  /** How the channel ended, if it has. */
  get closing(): LogState['closing'] {
    return this.channel.state.closing
  }

  begin({ offset, resumed, gap }: ReturnType<typeof locate>): void {
    this.epoch = this.channel.state.epoch
    this.offset = offset
    this.resumed = resumed
    this.gap = gap
  }

  /**
   * What comes next: now, or after the log was asked, or nothing (`wake` is called then). The position has moved behind
   * it when this returns. Rejects when the driver cannot be reached; the position has not moved then.
   */
  step(): ReaderStep | Promise<ReaderStep | undefined> | undefined {
    const { state, recent } = this.channel
    if (!this.gap && this.epoch !== state.epoch) this.gap = gapBehind(this, state)
    if (this.gap) return this.#tell(this.gap)
    if (this.offset < state.last) {
      const run = recent.runAfter(this.offset, RUN_BYTES)
      return run ? this.#take(run) : this.#ask()
    }
    if (!this.complete) return undefined
    return state.closing!.error ? { type: 'error', error: state.closing!.error } : { type: 'end' }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.wake = () => {}
    this.channel.readers.delete(this)
    this.onClose()
  }

  async #ask(): Promise<ReaderStep | undefined> {
    const page = await this.channel.driver.read(this.channel.name, this.offset, PAGE_LIMIT)
    if (page.epoch !== this.epoch) {
      await this.channel.refresh()
      return this.step()
    }
    const gap = gapBehind(this, page)
    if (gap) return this.#tell(gap)
    if (page.entries.length) return this.#take(new Run(page.epoch, page.entries))
    if (this.offset >= this.channel.state.last) return undefined
    // Asking again at once would go on for ever.
    throw new SSEError('DRIVER_UNAVAILABLE', `[nuxt-sse] Channel \`${this.channel.name}\`: the log has nothing behind ${this.position}, although newer messages were announced.`, { statusCode: 503 })
  }

  #take(run: Run): ReaderStep {
    this.offset = run.last
    return { type: 'messages', run }
  }

  #tell(gap: SSEGap): ReaderStep {
    this.gap = null
    this.epoch = gap.position.slice(0, gap.position.lastIndexOf('.'))
    this.offset = Number(gap.position.slice(this.epoch.length + 1))
    return { type: 'gap', gap }
  }
}
