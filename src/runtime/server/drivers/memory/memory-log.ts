import type { LogRetention, SSERetention } from '../../options'
import { ChannelRetention } from '../channel-retention'
import { lifeMs } from '../life-times'
import type { MemoryLease } from './memory-lease'
import { describeLease, lostClosing } from './memory-lease'
import { freeData, packData, sizeOf } from '../packed-data'
import type { LogClosing, LogEntry, LogPageLimit, LogState, PackedAppend } from '../types'

/** Removed entries wait at the front of the array until there are this many, and they are half of it: a `shift` each would cost O(n). */
const COMPACT_AT = 256

export interface StoredEntry extends LogEntry {
  at: number
  /** Of its data. */
  bytes: number
  /** Someone outside the log may refer to it. */
  shared: boolean
  key?: string
}

/** One log of the memory driver: its messages, how it ended, and who may fill it. Times are `performance.now()` times. */
export class MemoryLog {
  /** How it was ended; see {@link closing}. */
  ended: LogClosing | null = null
  readonly retention: ChannelRetention
  touchedAt = 0
  /** When somebody last said that the log is being read. */
  readAt = performance.now()
  #lease?: MemoryLease
  #last = 0
  /** `#entries[#head]` is the oldest one kept. */
  #entries: (StoredEntry | undefined)[] = []
  #head = 0
  readonly #keys = new Map<string, number>()
  #bytes = 0

  /** The retention is what the log keeps until its first writer says otherwise: the previous log's, where a channel starts over. */
  constructor(readonly epoch: string, retention: SSERetention) {
    this.retention = retention instanceof ChannelRetention ? retention : new ChannelRetention(retention)
  }

  /** The newest offset given out. */
  get last(): number {
    return this.#last
  }

  /** None where it has run out and its holder has never used it. */
  get lease(): MemoryLease | undefined {
    const lease = this.#lease
    return lease?.tentativeAt === this.#last && performance.now() > lease.until ? undefined : lease
  }

  set lease(lease: MemoryLease | undefined) {
    this.#lease = lease
  }

  /** Messages kept. */
  get size(): number {
    return this.#entries.length - this.#head
  }

  /** How it counts as ended now: as it was ended, or with a producer that is lost. */
  get closing(): LogClosing | null {
    return this.ended ?? lostClosing(this.lease)
  }

  /** When it is forgotten, unless it is used again before. */
  get forgottenAt(): number {
    const { lease, closing, retention: { maxAgeMs } } = this
    return this.touchedAt + lifeMs({ last: this.#last, closing: closing !== null, maxAgeMs, leaseMs: lease?.leaseMs })
  }

  get state(): LogState {
    const { epoch, size, closing, lease, readAt } = this
    return {
      epoch,
      first: this.#last - size + 1,
      last: this.#last,
      closing,
      ...lease && !closing && { lease: describeLease(lease, this.#last, readAt) },
    }
  }

  /** The offset of a message: of the one kept with the same key, or of a new entry, which is put into `added` too. */
  append({ event, data, key }: PackedAppend, added: StoredEntry[]): number {
    const known = key === undefined ? undefined : this.#keys.get(key)
    if (known !== undefined) return known
    const packed = packData(data)
    const entry: StoredEntry = { offset: ++this.#last, event, data: packed, key, at: performance.now(), bytes: sizeOf(packed), shared: false }
    this.#entries.push(entry)
    this.#bytes += entry.bytes
    if (key !== undefined) this.#keys.set(key, entry.offset)
    added.push(entry)
    return entry.offset
  }

  /** The entries behind `after` that are kept, up to the limit. */
  page(after: number, limit: LogPageLimit): LogEntry[] {
    const entries: LogEntry[] = []
    const skipped = Math.max(0, after - (this.#last - this.size))
    let bytes = 0
    for (let index = this.#head + skipped; index < this.#entries.length && entries.length < limit.messages && bytes < limit.bytes; index++) {
      const entry = this.#entries[index]!
      entry.shared = true
      entries.push(entry)
      bytes += entry.data.length
    }
    return entries
  }

  /** Takes a writer's retention, and removes what it does not keep. */
  retain(retention: LogRetention): void {
    this.retention.update(retention)
    this.trimByAge()
    this.#trimBySize()
  }

  /** Keeps the newest message, however large it is. */
  #trimBySize(): void {
    const { maxMessages, maxBytes } = this.retention
    let count = Math.max(0, this.size - maxMessages)
    let bytes = this.#bytes
    for (let index = 0; index < this.size - 1 && (index < count || bytes > maxBytes); index++) {
      bytes -= this.#entries[this.#head + index]!.bytes
      count = Math.max(count, index + 1)
    }
    this.#drop(count)
  }

  trimByAge(): void {
    const oldest = performance.now() - this.retention.maxAgeMs
    let count = 0
    while (count < this.size && this.#entries[this.#head + count]!.at < oldest) count++
    this.#drop(count)
  }

  #drop(count: number): void {
    for (; count > 0; count--) {
      const { key, bytes, data, shared } = this.#entries[this.#head]!
      this.#bytes -= bytes
      if (!shared) freeData(data)
      if (key !== undefined) this.#keys.delete(key)
      this.#entries[this.#head++] = undefined
    }
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
  }
}
