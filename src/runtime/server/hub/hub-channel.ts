import type { LogDriver, LogEntry, LogNotice, LogPage, LogState } from '../drivers/types'
import { SSEError } from '../../shared/errors'
import { publicChannelName } from '../../shared/secret-epoch'
import { spread } from '../lib/jitter'
import { OPENING_LIMIT, PAGE_LIMIT } from './page-limit'
import type { ReadGate, ReadReason } from '../lib/read-gate'
import { recheckDelayMs } from './recheck'
import type { RecentMemory } from './recent-memory'
import type { Run } from './replay'
import { RecentMessages, cutRun } from './replay'
import { outside } from '../lib/async-context'
import { afterTick, processTimeout } from '../lib/tick'

/**
 * What is kept of a channel, so that readers who come back need not ask the log: an answer of 2,000 tokens twice over. From memory it
 * takes them 0.4 ms, which is one look at the log, in place of 2.1.
 */
const RECENT_LIMIT = { messages: 4_096, bytes: 1_048_576 }
/** How long until a read that failed is repeated: twice as long each time, up to the maximum. Jittered. */
const RETRY_MS = 500
const MAX_RETRY_MS = 2_000
/** Reads in a row that bring a channel no further, although its log says that there is more. */
const MAX_STUCK = 3
/** The channels of a process that went are not looked at in one moment. At most a sixth of the shortest lease. */
const LATE_MS = 50

/** One channel that somebody in this process reads: its subscription, its state, its recent messages. */
export class HubChannel {
  readonly readers = new Set<{ wake: () => void }>()
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
  /** The read under way, and one that begins after it. */
  #reading?: Promise<void>
  #next?: Promise<void>
  /** The log must be read: it may have changed since the last read began. */
  #due = false
  /** Why it waits for its turn to be read. */
  #queued?: ReadReason
  /** Reads in a row that failed. */
  #failures = 0
  /** Looks in a row that found nothing new. */
  #quiet = 0
  #waking = false
  /** The next look, or the next repeat of a read that failed. */
  #timer?: ReturnType<typeof setTimeout>
  #lease?: ReturnType<typeof setTimeout>
  #lostAt = Infinity

  /** `after` is where its first reader is likely to begin. */
  constructor(readonly name: string, readonly driver: LogDriver, readonly gate: Pick<ReadGate, 'run'>, private readonly memory: RecentMemory, after: number) {
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
    this.#lookLater()
    // Whoever waits is answered first.
    afterTick(() => void this.#reread())
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
    clearTimeout(this.#timer)
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
    if (this.#quiet > 0) this.#lookSoon()
    // Nor does a message follow an ending: somebody goes on with what a lost producer has left.
    if (notice.type === 'append' && !this.state.closing && notice.epoch === this.state.epoch && this.#follows(notice) && this.#take(notice.entries)) return this.#wake()
    // A hole, another epoch, another message where one was, an ending: the log knows.
    void this.#reread()
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

  /** Reads now and then without a notice: a lost notice that no other follows would never be missed. */
  #lookLater(): void {
    const { recheckMs, recheckMaxMs = recheckMs } = this.driver
    if (this.#stopped || !recheckMs || this.#timer) return
    this.#timer = processTimeout(() => {
      this.#timer = undefined
      void this.#look()
    }, recheckDelayMs(recheckMs, recheckMaxMs!, this.#quiet))
  }

  /** Backs off while nothing changes; a change that no notice told of is a reason to look often again. */
  async #look(): Promise<void> {
    const { life, state: { last, closing } } = this
    // Also where a read was due already: without a timer, a lost notice would be missed for good.
    if (!await this.#reread()) return this.#lookLater()
    const isQuiet = life === this.life && last === this.state.last && closing === this.state.closing
    this.#quiet = isQuiet ? this.#quiet + 1 : 0
    this.#lookLater()
  }

  /** There is a reason to look often again. */
  #lookSoon(): void {
    this.#quiet = 0
    if (this.#failures > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#lookLater()
  }

  /** A producer that is lost can tell nobody: when its lease is over, unless it is renewed, the log says so. */
  #lookWhenLost({ lease }: LogState): void {
    clearTimeout(this.#lease)
    this.#lease = undefined
    this.#lostAt = lease ? performance.now() + lease.lostInMs : Infinity
    if (this.#stopped || !lease) return
    this.#lease = processTimeout(() => void this.#reread(), Math.max(0, lease.lostInMs) + LATE_MS * Math.random())
  }

  /** For where a timer may be gone with the request that has set it. */
  lookIfLost(): void {
    if (performance.now() < this.#lostAt) return
    this.#lostAt = Infinity
    void this.#reread()
  }

  /**
   * Reads what is new when it is this channel's turn. A notice is delivered once: if the read fails it is repeated, or readers would
   * never learn that the channel ended. Resolves with whether this read succeeded.
   */
  async #reread(reason: ReadReason = 'channel'): Promise<boolean> {
    if (this.#stopped) return false
    this.#due = true
    // Unless it waits where all others go first.
    if (this.#queued && (this.#queued !== 'repeat' || reason === 'repeat')) return false
    this.#queued = reason
    try {
      await this.gate.run(reason, () => {
        this.#queued = undefined
        return this.#due ? this.refresh() : undefined
      })
    }
    catch {
      this.#repeatLater()
      return false
    }
    if (this.#failures > 0) {
      this.#failures = 0
      this.#lookSoon()
    }
    return true
  }

  #repeatLater(): void {
    if (this.#stopped) return
    this.#quiet = 0
    clearTimeout(this.#timer)
    const ms = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** this.#failures++)
    this.#timer = processTimeout(() => {
      this.#timer = undefined
      void this.#reread('repeat')
    }, spread(ms))
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

  /** Reads on until it has what the log had at the first read. */
  async #catchUp(): Promise<void> {
    try {
      let until = 0
      for (let stuck = 0; !this.#stopped;) {
        this.#due = false
        const { life, state: { epoch, last, mark } } = this
        const page = await this.driver.read(this.name, last, PAGE_LIMIT, { epoch, mark })
        if (this.#stopped) return
        const fits = page.epoch !== this.state.epoch ? this.#adopt(page) : this.#merge(page)
        this.#lookWhenLost(page)
        this.#wake()
        until ||= page.last
        const isBehind = this.state.last < page.last
        if (fits && (life !== this.life || this.state.last >= until)) {
          // More was written meanwhile. It is somebody else's turn first.
          if (isBehind) afterTick(() => void this.#reread())
          return
        }
        stuck = life !== this.life || this.state.last > last ? 0 : stuck + 1
        if (stuck === MAX_STUCK) throw new SSEError('DRIVER_UNAVAILABLE', `Channel \`${publicChannelName(this.name)}\`: the log says that there is more than ${this.state.last}, and has nothing that follows it.`, { statusCode: 503 })
      }
    }
    finally {
      this.#reading = undefined
    }
  }

  /** What is recent begins behind `after`. */
  #adopt({ epoch, first, last, closing, mark }: LogState, after = last): true {
    this.state = { epoch, first, last, closing, mark }
    this.recent = new RecentMessages(epoch, after, RECENT_LIMIT)
    this.memory.delete(this.name)
    this.life++
    return true
  }

  /** `false` when the page has another message where one is known: one of the two is of a log that went back, and must be read again. */
  #merge(page: LogPage): boolean {
    if (!this.#take(page.entries)) {
      if (page.entries[0]!.offset <= this.state.last) return false
      // The log itself has lost what lay between: whoever stood there is told when it reads on.
      this.recent.reset(page.first - 1)
      this.#take(page.entries)
    }
    if (page.first > page.last && page.last > this.state.last) {
      Object.assign(this.state, { last: page.last, mark: page.mark })
      this.recent.reset(page.last)
      this.memory.delete(this.name)
    }
    this.state.first = Math.max(this.state.first, page.first)
    // An ending counts only for who has read everything before it.
    if (this.state.last >= page.last) this.state.closing = page.closing
    return true
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
