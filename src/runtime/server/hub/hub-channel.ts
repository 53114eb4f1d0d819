import type { LogDriver, LogEntry, LogNotice, LogPage, LogState } from '../drivers/types'
import { SSEError } from '../../shared/errors'
import { publicChannelName } from '../../shared/secret-epoch'
import { outside } from '../lib/async-context'
import type { ReadGate } from '../lib/read-gate'
import { afterTick } from '../lib/tick'
import { OPENING_LIMIT, PAGE_LIMIT } from './page-limit'
import type { RecentMemory } from './recent-memory'
import { RecentMessages } from './recent-messages'
import { Rereads } from './rereads'
import type { Run } from './run'
import { cutRun } from './run'

/**
 * Recent messages of one channel, so that readers who reconnect need not ask the log: an answer of 2,000 tokens twice over. From memory
 * it takes them 0.4 ms, which is one look at the log, instead of 2.1.
 */
const RECENT_LIMIT = { messages: 4_096, bytes: 1_048_576 }
/** Reads in a row that bring a channel no further, although its log says that there is more. */
const MAX_STUCK = 3

/** What a channel wakes when there may be something to read. */
export interface Sleeper {
  wake: () => void
}

/** One channel that is being read in this process: its subscription, its newest messages, and how it ended. */
export class HubChannel {
  /** Resolves when the driver has acknowledged the subscription and the log was read. */
  readonly ready: Promise<void>
  readonly #readers = new Set<Sleeper>()
  readonly #rereads: Rereads
  #recent!: RecentMessages
  #first = 1
  #closing: LogState['closing'] = null
  #life = 0
  #version = 0
  /** Handed to the first reader, where the log is longer than what was read. */
  #opening?: Run
  #stopped = false
  #unsubscribe?: () => void
  /** The read under way, and one that begins after it. */
  #reading?: Promise<void>
  #next?: Promise<void>
  #waking = false

  /** `after`: where its first reader is likely to begin. */
  constructor(readonly name: string, private readonly driver: LogDriver, private readonly gate: Pick<ReadGate, 'run'>, private readonly memory: RecentMemory, after: number) {
    const { recheckMs, recheckMaxMs } = driver
    this.#rereads = new Rereads({ gate, recheckMs, recheckMaxMs, read: () => this.refresh(), version: () => this.#version })
    this.ready = this.#start(after)
    // Every reader awaits it; when all have gone, nothing does.
    this.ready.catch(() => {})
  }

  get epoch(): string {
    return this.#recent.epoch
  }

  /** The oldest offset kept, as far as is known here. */
  get first(): number {
    return this.#first
  }

  /** The newest offset known here. */
  get last(): number {
    return this.#recent.last
  }

  get closing(): LogState['closing'] {
    return this.#closing
  }

  /** Changes with the epoch, and never back: a store that goes back twice may come back to an epoch that it had. */
  get life(): number {
    return this.#life
  }

  get readers(): ReadonlySet<Sleeper> {
    return this.#readers
  }

  join(reader: Sleeper): void {
    this.#readers.add(reader)
  }

  leave(reader: Sleeper): void {
    this.#readers.delete(reader)
  }

  /** What follows an offset, from memory, at most about `maxBytes` of it; `undefined` where only the log knows. */
  runAfter(offset: number, maxBytes: number): Run | undefined {
    return this.#recent.runAfter(offset, maxBytes)
  }

  /** What was read when the channel was opened: for one reader, which may continue with it. */
  takeOpening(): Run | undefined {
    const opening = this.#opening
    this.#opening = undefined
    return opening
  }

  /** Reads what follows an offset from the log, for a reader. Resolves with nothing if the reader has closed before its turn came. */
  async readFor({ offset, closed, repeated }: { offset: number, closed: () => boolean, repeated: boolean }): Promise<LogPage | undefined> {
    return this.gate.run(repeated ? 'repeat' : 'reader', () => closed() ? undefined : this.driver.read(this.name, offset, PAGE_LIMIT))
  }

  /** See `Rereads`. */
  lookIfLost(): void {
    this.#rereads.lookIfLost()
  }

  stop(): void {
    this.#stopped = true
    this.#rereads.stop()
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#opening = undefined
    // Where the log is at hand there is nothing to keep; and without a mark nothing shows later that it is still right.
    if (this.#recent?.mark === undefined) this.memory.delete(this.name)
  }

  /**
   * Reads what the log had when this was called, after the newest message known here. One read at a time: resolves with the one
   * under way only if that has not begun. Callers that keep coming never put off the answer to those before them.
   */
  refresh(): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    if (this.#next) return this.#next
    if (!this.#reading) return this.#reading = this.#catchUp()
    return this.#next = this.#reading.catch(() => {}).then(() => {
      this.#next = undefined
      return this.#reading = this.#catchUp()
    })
  }

  /**
   * Subscribes and reads at once, so that its first reader waits for one answer. What is published between the two is read
   * after the acknowledgement; what is published later is noticed.
   */
  async #start(after: number): Promise<void> {
    // Kept since the last reader left: still right if the log has its last message.
    const kept = this.memory.get(this.name)
    const seen = kept && { epoch: kept.epoch, last: kept.last, mark: kept.mark }
    const [page] = await Promise.all([this.driver.read(this.name, seen?.last ?? after, OPENING_LIMIT, seen), this.#subscribe()])
    if (this.#stopped) return
    // Unless there was no room for it meanwhile.
    if (!(kept?.size && this.#resume(kept, page))) this.#begin(page)
    this.#rereads.lookWhenLost(page)
    this.#rereads.lookLater()
    // Readers that wait are answered first.
    afterTick(() => void this.#rereads.now())
  }

  async #subscribe(): Promise<void> {
    const unsubscribe = await this.driver.subscribe(this.name, notice => this.#onNotice(notice))
    if (this.#stopped) unsubscribe()
    else this.#unsubscribe = unsubscribe
  }

  /** `false` where the log is another one by now, or there is so much more of it that what was kept is not recent. */
  #resume(recent: RecentMessages, page: LogPage): boolean {
    if (page.epoch !== recent.epoch || page.first > recent.last + 1 || recent.last + page.entries.length !== page.last) return false
    this.#recent = recent
    this.#first = page.first
    this.#life++
    this.#merge(page)
    return true
  }

  #begin(page: LogPage): void {
    const oldest = page.entries[0]
    if (oldest && page.entries.at(-1)!.offset === page.last) {
      this.#adopt(page, oldest.offset - 1)
      this.#take(page.entries)
    }
    else {
      this.#adopt(page)
      if (oldest) this.#opening = cutRun(page.epoch, page.entries, 0, PAGE_LIMIT.bytes)
    }
  }

  #onNotice(notice: LogNotice): void {
    // What comes before the log was read is read again then. What is on its way when the last reader has left is not for the next
    // one, which begins with what is recent by then.
    if (this.#stopped || !this.#recent) return
    this.#rereads.noticed()
    // Nor does a message follow an ending: another producer continues what a lost one has left.
    if (notice.type === 'append' && !this.#closing && notice.epoch === this.epoch && this.#follows(notice) && this.#take(notice.entries)) return this.#wake()
    // A hole, another epoch, another message where one was, an ending: the log knows.
    void this.#rereads.now()
  }

  /**
   * Whether the message before the first is the one that is known here. Otherwise the log went back, and grew again to
   * where it was, unnoticed: the offsets alone would fit.
   */
  #follows({ entries, follows }: Extract<LogNotice, { type: 'append' }>): boolean {
    return follows === undefined || entries[0]?.offset !== this.last + 1 || follows === this.#recent.mark
  }

  /** `false` when the entries do not continue what is known here. */
  #take(entries: readonly LogEntry[]): boolean {
    const { last } = this
    if (!this.#recent.push(entries)) return false
    this.memory.keep(this.name, this.#recent)
    if (this.last !== last) this.#version++
    return true
  }

  /** Reads on until it has what the log had at the first read. */
  async #catchUp(): Promise<void> {
    try {
      let until = 0
      for (let stuck = 0; !this.#stopped;) {
        this.#rereads.begun()
        const { life, epoch, last } = this
        const page = await this.driver.read(this.name, last, PAGE_LIMIT, { epoch, mark: this.#recent.mark })
        if (this.#stopped) return
        const fits = page.epoch !== this.epoch ? this.#adopt(page) : this.#merge(page)
        this.#rereads.lookWhenLost(page)
        this.#wake()
        until ||= page.last
        const isBehind = this.last < page.last
        if (fits && (life !== this.life || this.last >= until)) {
          // More was written meanwhile. Other channels have their turn first.
          if (isBehind) afterTick(() => void this.#rereads.now())
          return
        }
        stuck = life !== this.life || this.last > last ? 0 : stuck + 1
        if (stuck === MAX_STUCK) throw new SSEError('DRIVER_UNAVAILABLE', `Channel \`${publicChannelName(this.name)}\`: the log says that there is more than ${this.last}, and has nothing that follows it.`, { statusCode: 503 })
      }
    }
    finally {
      this.#reading = undefined
    }
  }

  /** Begins with another log. Its recent messages begin after `after`. */
  #adopt({ epoch, first, last, closing, mark }: LogState, after = last): true {
    this.#recent = new RecentMessages(epoch, after, RECENT_LIMIT, after === last ? mark : undefined)
    this.#first = first
    this.#close(closing)
    this.memory.delete(this.name)
    this.#life++
    this.#version++
    return true
  }

  /** `false` when the page has another message where one is known: one of the two is of a log that went back, and must be read again. */
  #merge(page: LogPage): boolean {
    if (!this.#take(page.entries)) {
      if (page.entries[0]!.offset <= this.last) return false
      // The log itself has lost what lay between: a reader that stood there receives its gap when it reads on.
      this.#recent.reset(page.first - 1)
      this.#take(page.entries)
    }
    if (page.first > page.last && page.last > this.last) {
      this.#recent.reset(page.last, page.mark)
      this.memory.delete(this.name)
      this.#version++
    }
    this.#first = Math.max(this.#first, page.first)
    // An ending counts only for readers that have everything before it.
    if (this.last >= page.last) this.#close(page.closing)
    return true
  }

  #close(closing: LogState['closing']): void {
    if ((this.#closing === null) !== (closing === null)) this.#version++
    this.#closing = closing
  }

  #wake(): void {
    if (this.#waking) return
    this.#waking = true
    // Writing to slow readers takes long, and must not keep the request alive that published.
    outside(() => afterTick(() => {
      this.#waking = false
      for (const reader of this.#readers) reader.wake()
    }))
  }
}
