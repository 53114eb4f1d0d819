import type { LogDriver, LogNotice, LogPage } from '../drivers/types'
import { SSEError } from '../../shared/errors'
import { formatPosition } from '../../shared/position'
import { publicChannelName, publicId } from '../../shared/secret-epoch'
import { since, traces } from '../insight/traces'
import { outside } from '../lib/async-context'
import type { ReadGate } from '../lib/read-gate'
import { afterTick } from '../lib/tick'
import { KnownLog } from './known-log'
import { OPENING_LIMIT, PAGE_LIMIT } from './run'
import type { RecentMemory } from './recent-memory'
import { Rereads } from './rereads'
import type { Run } from './run'

/** Maximum number of consecutive reads without progress, although the log reports more messages. */
const MAX_STUCK = 3

/** Reader that the channel wakes when there may be something to read. */
export interface Sleeper {
  wake: () => void
}

/** One channel that this process reads: its subscription, its reads, and its readers. */
export class HubChannel {
  /** Resolves when the driver has acknowledged the subscription and the log was read. */
  readonly ready: Promise<void>
  /** Known state of the log. */
  readonly log: KnownLog
  readonly #readers = new Set<Sleeper>()
  readonly #rereads: Rereads
  /** First messages, for the first reader; only if the log is longer than the opening read. */
  #opening?: Run
  #stopped = false
  #unsubscribe?: () => void
  /** Read in flight, and the one that begins after it. */
  #reading?: Promise<void>
  #next?: Promise<void>
  #waking = false
  /** Newest message of the last wake, and the life of its log. */
  #woken = { life: 0, last: 0 }

  /** `after` is the offset at which the first reader probably begins. */
  constructor(readonly name: string, private readonly driver: LogDriver, private readonly gate: Pick<ReadGate, 'run'>, private readonly memory: RecentMemory, after: number) {
    this.log = new KnownLog(name, memory)
    const { recheckMs, recheckMaxMs } = driver
    this.#rereads = new Rereads({ gate, recheckMs, recheckMaxMs, read: () => this.refresh(), version: () => this.log.version })
    this.ready = this.#start(after)
    // Every reader awaits `ready`. Without readers, a rejection must not be unhandled.
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

  /** Takes the messages of the opening read, for one reader that may continue with them. */
  takeOpening(): Run | undefined {
    const opening = this.#opening
    this.#opening = undefined
    return opening
  }

  /** Reads the messages after an offset from the log, for a reader. Resolves with nothing if the reader was closed before its turn. */
  async readFor({ offset, closed, repeated }: { offset: number, closed: () => boolean, repeated: boolean }): Promise<LogPage | undefined> {
    return this.gate.run(repeated ? 'repeat' : 'reader', () => closed() ? undefined : this.driver.read(this.name, offset, PAGE_LIMIT))
  }

  /** Reads the log if its producer may be lost; see `Rereads`. */
  lookIfLost(): void {
    this.#rereads.lookIfLost()
  }

  stop(): void {
    this.#stopped = true
    this.#rereads.stop()
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#opening = undefined
    // A log without marks is in this process, so nothing needs to be kept. Without a mark, kept messages could not be verified later.
    if (this.log.mark === undefined) this.memory.delete(this.name)
  }

  /**
   * Reads the messages that the log has at this call, after the newest known one. One read at a time: a call shares a read only if that has
   * not begun. Callers that keep arriving never delay the result of earlier ones.
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
   * Subscribes and reads at the same time, so that the first reader waits only once. Messages published between the two are read after the
   * acknowledgement; later ones arrive as notices.
   */
  async #start(after: number): Promise<void> {
    // Messages kept since the last reader left. They are valid if the log still has the last of them.
    const kept = this.memory.get(this.name)
    const seen = kept && { epoch: kept.epoch, last: kept.last, mark: kept.mark }
    const [page] = await Promise.all([this.driver.read(this.name, seen?.last ?? after, OPENING_LIMIT, seen), this.#subscribe()])
    if (this.#stopped) return
    // The kept messages may have been evicted meanwhile.
    if (!(kept?.size && this.log.resume(kept, page))) this.#opening = this.log.begin(page)
    this.#rereads.lookWhenLost(page)
    this.#rereads.lookLater()
    this.#woken = { life: this.log.life, last: this.log.last }
    // Waiting readers get their answer first.
    afterTick(() => void this.#rereads.now())
  }

  async #subscribe(): Promise<void> {
    const unsubscribe = await this.driver.subscribe(this.name, notice => this.#onNotice(notice))
    if (this.#stopped) unsubscribe()
    else this.#unsubscribe = unsubscribe
  }

  #onNotice(notice: LogNotice): void {
    // Notices before the opening read are covered by the read after it. Notices in flight when the last reader leaves are not for the next
    // reader: it begins with the messages that are recent by then.
    if (this.#stopped || !this.log.isKnown) return
    this.#rereads.noticed()
    if (this.log.append(notice)) return this.#wake()
    // A hole, another epoch, another message at a known offset, or a closing: only the log has the answer.
    void this.#rereads.now()
  }

  /** Reads until the messages that the log had at the first read are known. */
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
          // More messages were written meanwhile. Other channels have their turn first.
          if (isBehind) afterTick(() => void this.#rereads.now())
          return
        }
        stuck = life !== log.life || log.last > last ? 0 : stuck + 1
        if (stuck === MAX_STUCK) throw new SSEError('DRIVER_UNAVAILABLE', `Channel \`${publicChannelName(this.name)}\`: the driver reports newer messages than ${log.last}, but does not return them.`, { statusCode: 503 })
      }
    }
    finally {
      this.#reading = undefined
    }
  }

  #wake(): void {
    if (this.#waking) return
    this.#waking = true
    // Runs outside the request: writing to slow readers takes long, and must not keep the publishing request alive.
    outside(() => afterTick(() => {
      this.#waking = false
      const begun = traces.deliver.begin()
      // A reader that receives the end leaves.
      const { size } = this.#readers
      for (const reader of this.#readers) reader.wake()
      if (begun !== undefined && size > 0) this.#traceDelivery(size, begun)
      this.#woken.life = this.log.life
      this.#woken.last = this.log.last
    }))
  }

  /** Traces the messages since the last wake. Readers of a log that was replaced, or has a hole, read it themselves: those are replays. */
  #traceDelivery(readers: number, begun: number): void {
    const { life, epoch, first, last } = this.log
    const after = Math.max(life === this.#woken.life ? this.#woken.last : last, first - 1)
    const ids = Array.from({ length: Math.max(0, last - after) }, (_, index) => publicId(this.name, formatPosition(epoch, after + 1 + index)))
    if (ids.length) traces.deliver.publish({ channel: publicChannelName(this.name), ids, readers, durationMs: since(begun) })
  }
}
