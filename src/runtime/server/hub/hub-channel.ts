import type { LogDriver, LogNotice, LogPage } from '../drivers/types'
import { SSEError } from '../../shared/errors'
import { publicChannelName } from '../../shared/secret-epoch'
import { outside } from '../lib/async-context'
import type { ReadGate } from '../lib/read-gate'
import { afterTick } from '../lib/tick'
import { KnownLog } from './known-log'
import { OPENING_LIMIT, PAGE_LIMIT } from './run'
import type { RecentMemory } from './recent-memory'
import { Rereads } from './rereads'
import type { Run } from './run'

/** Reads in a row that bring a channel no further, although its log says that there is more. */
const MAX_STUCK = 3

/** What a channel wakes when there may be something to read. */
export interface Sleeper {
  wake: () => void
}

/** One channel that is being read in this process: its subscription, its reads, and its readers. */
export class HubChannel {
  /** Resolves when the driver has acknowledged the subscription and the log was read. */
  readonly ready: Promise<void>
  /** What is known of its log. */
  readonly log: KnownLog
  readonly #readers = new Set<Sleeper>()
  readonly #rereads: Rereads
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
    this.log = new KnownLog(name, memory)
    const { recheckMs, recheckMaxMs } = driver
    this.#rereads = new Rereads({ gate, recheckMs, recheckMaxMs, read: () => this.refresh(), version: () => this.log.version })
    this.ready = this.#start(after)
    // Every reader awaits it; when all have gone, nothing does.
    this.ready.catch(() => {})
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
    if (this.log.mark === undefined) this.memory.delete(this.name)
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
    if (!(kept?.size && this.log.resume(kept, page))) this.#opening = this.log.begin(page)
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

  #onNotice(notice: LogNotice): void {
    // What comes before the log was read is read again then. What is on its way when the last reader has left is not for the next
    // one, which begins with what is recent by then.
    if (this.#stopped || !this.log.isKnown) return
    this.#rereads.noticed()
    if (this.log.append(notice)) return this.#wake()
    // A hole, another epoch, another message where one was, an ending: the log knows.
    void this.#rereads.now()
  }

  /** Reads on until it has what the log had at the first read. */
  async #catchUp(): Promise<void> {
    const { log } = this
    try {
      let until = 0
      for (let stuck = 0; !this.#stopped;) {
        this.#rereads.begun()
        const { life, epoch, last, mark } = log
        const page = await this.driver.read(this.name, last, PAGE_LIMIT, { epoch, mark })
        if (this.#stopped) return
        const fits = page.epoch !== log.epoch ? log.adopt(page) : log.merge(page)
        this.#rereads.lookWhenLost(page)
        this.#wake()
        until ||= page.last
        const isBehind = log.last < page.last
        if (fits && (life !== log.life || log.last >= until)) {
          // More was written meanwhile. Other channels have their turn first.
          if (isBehind) afterTick(() => void this.#rereads.now())
          return
        }
        stuck = life !== log.life || log.last > last ? 0 : stuck + 1
        if (stuck === MAX_STUCK) throw new SSEError('DRIVER_UNAVAILABLE', `Channel \`${publicChannelName(this.name)}\`: the log says that there is more than ${log.last}, and has nothing that follows it.`, { statusCode: 503 })
      }
    }
    finally {
      this.#reading = undefined
    }
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
