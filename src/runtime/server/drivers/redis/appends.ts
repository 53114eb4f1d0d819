import { createEpoch } from '../../../shared/position'
import type { LogRetention } from '../../options'
import { BoundedMap } from '../../lib/bounded-map'
import { afterTick } from '../../lib/tick'
import { channelEnded, leaseLost } from '../errors'
import type { ChannelKeys, ServerClock } from './commands'
import { retentionArgs, runScript } from './commands'
import { isReply, unavailable } from './errors'
import type { RedisLink } from './connection/link'
import { onceOrNever } from './once'
import type { LogAppend, LogWriter } from '../types'

/** Maximum number of messages in one script call: while it runs, Redis does nothing else. */
const MAX_BATCH_MESSAGES = 500
/**
 * Maximum number of characters in one script call, unless a single append is longer. A call of 400 messages of 1 MiB took longer than its
 * appends had, and all of them failed.
 */
const MAX_BATCH_LENGTH = 1_048_576
/** Maximum number of messages that may wait for Redis in this process. Beyond it, publishing is refused at once. */
const MAX_QUEUED_MESSAGES = 10_000
/** Maximum number of characters that may wait: about as much as a fast network carries within the time of an append. */
const MAX_QUEUED_LENGTH = 134_217_728
/**
 * Largest difference between the deadlines of appends in one batch, as a share of `timeoutMs`. An append that has waited long must not make
 * a new one fail.
 */
const SAME_BATCH_FACTOR = 0.25
/**
 * How long Redis remembers a process's last append, as a multiple of `timeoutMs`. The process repeats it within that time, unless it was
 * suspended.
 */
const REMEMBER_FACTOR = 10
/** How long Redis remembers the last append of a writer with an ID of its own, in milliseconds. Such a writer may retry for longer. */
const REMEMBER_WRITER_MS = 120_000
/** Number of channels whose last answers are remembered. The channel with the oldest publish is evicted first. */
const MAX_LAST_APPENDS = 10_000
/**
 * Maximum length of a notice that carries its messages, in characters. For longer appends it only wakes subscribers, which read the log.
 */
export const MAX_NOTICE_LENGTH = 16_384

interface Append {
  entries: LogAppend[]
  /** Characters of their data. */
  length: number
  retention: LogRetention
  /** Writer with an ID of its own. Its appends are not batched. */
  writer?: LogWriter
  until: number
  resolve(result: AppendResult): void
  reject(error: unknown): void
}

export interface AppendResult {
  epoch: string
  offsets: number[]
}

/** Newest message of a channel in Redis's last answer to this process. */
export interface LastAppend {
  epoch: string
  offset: number
  mark: string
}

const NONE: LastAppend = { epoch: '', offset: 0, mark: '' }

export interface RedisAppendsInit {
  link: RedisLink
  clock: ServerClock
  timeoutMs: number
  keysOf(channel: string, writer: string): ChannelKeys
  /** Returns the epoch of a log that begins with an attempt; a different one for each attempt. */
  candidate(): string
  /** Called when Redis has the messages, but refuses to notify subscribers. */
  onRefused(reason: string): void
}

/**
 * Appends of this process. Appends to one channel in one tick are one call. A channel has one call in flight at a time. Each append happens
 * once or not at all.
 */
export class RedisAppends {
  /** Last answer for each channel that this process has published to. A log that ends before it was rolled back. */
  readonly lastAppends = new BoundedMap<string, LastAppend>({ limit: MAX_LAST_APPENDS })
  readonly #queues = new Map<string, Append[]>()
  readonly #writer = createEpoch()
  #number = 0
  #queued = 0
  #queuedLength = 0

  constructor(private readonly init: RedisAppendsInit) {}

  append(channel: string, entries: LogAppend[], retention: LogRetention, writer?: LogWriter): Promise<AppendResult> {
    const length = entries.reduce((sum, { data }) => sum + data.length, 0)
    if (this.#queued + entries.length > MAX_QUEUED_MESSAGES || (this.#queued && this.#queuedLength + length > MAX_QUEUED_LENGTH)) {
      return Promise.reject(unavailable(new Error(`${this.#queued} messages (${this.#queuedLength} characters) are already waiting for Redis.`)))
    }
    this.#queued += entries.length
    this.#queuedLength += length
    return new Promise((resolve, reject) => {
      let queue = this.#queues.get(channel)
      if (!queue) {
        const fresh: Append[] = queue = []
        this.#queues.set(channel, fresh)
        afterTick(() => void this.#drain(channel, fresh))
      }
      queue.push({ entries, length, retention, writer, until: performance.now() + this.init.timeoutMs, resolve, reject })
    })
  }

  /** Sends the batches of a channel one after the other. Appends that arrive while one is in flight form the next. */
  async #drain(channel: string, queue: Append[]): Promise<void> {
    while (queue.length) {
      const batch = this.#take(queue)
      try {
        const { epoch, offsets } = await this.#appendOnce(channel, batch)
        let index = 0
        for (const { entries, resolve } of batch) resolve({ epoch, offsets: offsets.slice(index, index += entries.length) })
      }
      catch (error) {
        for (const { reject } of batch) reject(error)
      }
      for (const { entries, length } of batch) {
        this.#queued -= entries.length
        this.#queuedLength -= length
      }
    }
    this.#queues.delete(channel)
  }

  /** Takes the next batch: adjacent appends without a writer of their own, with equal retention and similar deadlines. */
  #take(queue: Append[]): Append[] {
    const { retention, until, writer } = queue[0]!
    if (writer) return queue.splice(0, 1)
    const latest = until + this.init.timeoutMs * SAME_BATCH_FACTOR
    let { entries: { length: messages }, length } = queue[0]!
    let count = 1
    for (; count < queue.length; count++) {
      const next = queue[count]!
      messages += next.entries.length
      length += next.length
      if (next.writer || messages > MAX_BATCH_MESSAGES || length > MAX_BATCH_LENGTH || next.until > latest || !isSameRetention(next.retention, retention)) break
    }
    return queue.splice(0, count)
  }

  /**
   * Appends exactly once or fails. If the answer is lost, the append is sent again under the same number, and Redis returns its outcome.
   */
  async #appendOnce(channel: string, batch: Append[]): Promise<AppendResult> {
    const { link, clock, timeoutMs, keysOf, candidate } = this.init
    const { until, retention, writer } = batch[0]!
    const entries = batch.flatMap(({ entries }) => entries)
    const { id, number, leased } = writer ?? { id: this.#writer, number: ++this.#number, leased: false }
    const known = this.lastAppends.get(channel) ?? NONE
    const plain = entries.every(({ event, key }) => event === undefined && key === undefined)
    const args = [
      ...retentionArgs(retention), number, writer ? REMEMBER_WRITER_MS : timeoutMs * REMEMBER_FACTOR, fitsNotice(entries) ? 1 : 0,
      known.epoch, known.offset, known.mark, leased ? id : '', plain ? 1 : 3,
      ...plain ? entries.map(({ data }) => data) : entries.flatMap(({ data, event = '', key = '' }) => [data, event, key]),
    ]
    try {
      const [now, refused, epoch, last, mark, ...offsets] = await onceOrNever(until, timeoutMs, clock, (by, deadline) => runScript(link, by, 'sseAppend', keysOf(channel, id), deadline, [candidate(), ...args]))
      clock.set(Number(now))
      if (refused) this.init.onRefused(refused)
      this.lastAppends.set(channel, { epoch: epoch!, offset: Number(last), mark: mark! })
      const first = Number(offsets[0])
      return { epoch: epoch!, offsets: offsets.length === 1 ? entries.map((_, index) => first + index) : offsets.map(Number) }
    }
    catch (error) {
      if (isReply(error, 'CHANNEL_ENDED')) throw channelEnded(channel)
      if (isReply(error, 'LEASE_LOST')) throw leaseLost(channel)
      link.gaveUp(error)
      throw unavailable(error)
    }
  }
}

/** Whether the notice can carry the messages. JSON as this package writes it has no line breaks. */
function fitsNotice(entries: LogAppend[]): boolean {
  let length = 0
  return entries.every(({ data, event = '' }) => (length += data.length + event.length) <= MAX_NOTICE_LENGTH && !data.includes('\n'))
}

function isSameRetention(one: LogRetention, other: LogRetention): boolean {
  return one === other || retentionArgs(one).join() === retentionArgs(other).join()
}
