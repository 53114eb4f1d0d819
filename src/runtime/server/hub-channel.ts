import type { ChannelReader } from './channel-reader'
import type { LogDriver, LogEntry, LogNotice, LogPage, LogState } from './drivers/types'
import { OPENING_LIMIT, PAGE_LIMIT } from './page-limit'
import type { RecentMemory } from './recent-memory'
import type { Run } from './replay'
import { RecentMessages, cutRun } from './replay'
import { outside } from './async-context'
import { afterTick, processTimeout } from './tick'

/**
 * What is kept of a channel, so that readers who come back need not ask the log: an answer of 2,000 tokens twice over. From memory it
 * takes them 0.4 ms, which is one look at the log, in place of 2.1.
 */
const RECENT_LIMIT = { messages: 4_096, bytes: 1_048_576 }
/** How long until a driver that could not be reached is asked again. */
const RETRY_MS = 500
/** The channels of a process that went are not looked at in one moment. At most a sixth of the shortest lease. */
const LATE_MS = 50

/** One channel that somebody in this process reads: its subscription, its state, its recent messages. */
export class HubChannel {
  readonly readers = new Set<ChannelReader>()
  /** Resolves when the driver has acknowledged the subscription and the state is known. */
  readonly ready: Promise<void>
  state!: LogState
  recent!: RecentMessages
  /** What the first reader is handed first, where the log is longer than what was read. */
  opening?: Run
  /** Changes with the epoch, and never back: a store that goes back twice may come back to an epoch that it had. */
  life = 0

  #stopped = false
  #unsubscribe?: () => void
  #refreshing?: Promise<void>
  #again = false
  #waking = false
  #retry?: ReturnType<typeof setTimeout>
  #recheck?: ReturnType<typeof setTimeout>
  #lease?: ReturnType<typeof setTimeout>
  #lostAt = Infinity

  /** `after` is where its first reader is likely to begin. */
  constructor(readonly name: string, readonly driver: LogDriver, private readonly memory: RecentMemory, after: number) {
    this.ready = this.#start(after)
    // Every reader awaits it; when all have gone, nobody does.
    this.ready.catch(() => {})
  }

  /**
   * Subscribes and reads at once, so that its first reader waits for one answer. What is published between the two is read
   * behind the acknowledgement; what is published later is noticed.
   */
  async #start(after: number): Promise<void> {
    // What was kept when nobody read it any more: still right if the log has its last message.
    const kept = this.memory.get(this.name)
    const seen = kept && { epoch: kept.epoch, last: kept.last, mark: kept.mark }
    const [page] = await Promise.all([this.driver.read(this.name, seen?.last ?? after, OPENING_LIMIT, seen), this.#subscribe()])
    if (this.#stopped) return
    // Unless there was no room for it meanwhile.
    if (!(kept?.size && this.#resume(kept, page))) this.#begin(page)
    this.#lookWhenLost(page)
    this.#recheckLater()
    // Whoever waits is answered first.
    afterTick(() => this.#reread())
  }

  async #subscribe(): Promise<void> {
    const unsubscribe = await this.driver.subscribe(this.name, notice => this.#onNotice(notice))
    if (this.#stopped) unsubscribe()
    else this.#unsubscribe = unsubscribe
  }

  /** `false` where the log is another one by now, or there is so much more of it that what was kept is not recent. */
  #resume(recent: RecentMessages, page: LogPage): boolean {
    if (page.epoch !== recent.epoch || page.first > recent.last + 1 || recent.last + page.entries.length !== page.last) return false
    this.recent = recent
    this.state = { epoch: page.epoch, first: page.first, last: recent.last, mark: recent.mark, closing: null }
    this.life++
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
      if (oldest) this.opening = cutRun(page.epoch, page.entries, 0, PAGE_LIMIT.bytes)
    }
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    clearTimeout(this.#recheck)
    clearTimeout(this.#lease)
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.opening = undefined
    // Where the log is at hand there is nothing to keep; and without a mark nobody can tell later that it is still right.
    if (this.recent?.mark === undefined) this.memory.delete(this.name)
  }

  #onNotice(notice: LogNotice): void {
    // What comes before the state is known lies in the log, which is read again then. What is on its way when nobody reads any more
    // is not for whoever comes next: what is recent is theirs by then.
    if (this.#stopped || !this.state) return
    // Nor does a message follow an ending: somebody goes on with what a lost producer has left.
    if (notice.type === 'append' && !this.state.closing && notice.epoch === this.state.epoch && this.#follows(notice) && this.#take(notice.entries)) return this.#wake()
    // A hole, another epoch, another message where one was, an ending: the log knows.
    this.#reread()
  }

  /**
   * Whether the message before the first is the one that is known here. Otherwise the log went back, and grew again to
   * where it was, while nobody heard of it: the offsets alone would fit.
   */
  #follows({ entries, follows }: Extract<LogNotice, { type: 'append' }>): boolean {
    return follows === undefined || entries[0]?.offset !== this.state.last + 1 || follows === this.state.mark
  }

  /** `false` when the entries do not go on from what is known here. */
  #take(entries: readonly LogEntry[]): boolean {
    if (!this.recent.push(entries)) return false
    this.memory.keep(this.name, this.recent)
    const newest = entries.at(-1)
    if (newest && newest.offset > this.state.last) {
      this.state.last = newest.offset
      this.state.mark = newest.mark
    }
    return true
  }

  /** A notice that was lost with nothing behind it would be missed by nobody. Jittered, so that channels do not ask together. */
  #recheckLater(): void {
    if (this.#stopped || !this.driver.recheckMs) return
    this.#recheck = processTimeout(() => {
      this.#reread()
      this.#recheckLater()
    }, this.driver.recheckMs * (0.5 + Math.random()))
  }

  /** A producer that is lost can tell nobody: when its lease is over, unless it is renewed, the log says so. */
  #lookWhenLost({ lease }: LogState): void {
    clearTimeout(this.#lease)
    this.#lease = undefined
    this.#lostAt = lease ? performance.now() + lease.lostInMs : Infinity
    if (this.#stopped || !lease) return
    this.#lease = processTimeout(() => this.#reread(), Math.max(0, lease.lostInMs) + LATE_MS * Math.random())
  }

  /** For where a timer may be gone with the request that has set it. */
  lookIfLost(): void {
    if (performance.now() < this.#lostAt) return
    this.#lostAt = Infinity
    this.#reread()
  }

  /** What a notice told is told once: an ending that is not read now must be read later, or its readers wait for ever. */
  #reread(): void {
    this.refresh().catch(() => {
      if (this.#stopped) return
      clearTimeout(this.#retry)
      this.#retry = processTimeout(() => this.#reread(), RETRY_MS)
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
        const page = await this.driver.read(this.name, this.state.last, PAGE_LIMIT, this.state)
        if (this.#stopped) return
        if (page.epoch !== this.state.epoch) this.#adopt(page)
        else this.#merge(page)
        this.#lookWhenLost(page)
      }
    }
    finally {
      // In one breath with the last look at `#again`: who asks a moment later must get a read of their own.
      this.#refreshing = undefined
    }
    this.#wake()
  }

  /** What is recent begins behind `after`. */
  #adopt({ epoch, first, last, closing, mark }: LogState, after = last): void {
    this.state = { epoch, first, last, closing, mark }
    this.recent = new RecentMessages(epoch, after, RECENT_LIMIT)
    this.memory.delete(this.name)
    this.life++
  }

  #merge(page: LogPage): void {
    if (!this.#take(page.entries)) {
      // Another message where one is known: one of the two is of a log that went back. Who says which one is known is told.
      if (page.entries[0]!.offset <= this.state.last) return void (this.#again = true)
      // The log itself has lost what lay between: whoever stood there is told when it reads on.
      this.recent.reset(page.first - 1)
      this.#take(page.entries)
    }
    if (page.first > page.last && page.last > this.state.last) Object.assign(this.state, { last: page.last, mark: page.mark })
    this.state.first = Math.max(this.state.first, page.first)
    // An ending counts only for who has read everything before it.
    if (this.state.last >= page.last) this.state.closing = page.closing
    else this.#again = true
  }

  #wake(): void {
    if (this.#waking) return
    this.#waking = true
    // What is written to slow readers waits for long, and must not hold the request that has published it.
    outside(() => afterTick(() => {
      this.#waking = false
      for (const reader of this.readers) reader.wake()
    }))
  }
}
