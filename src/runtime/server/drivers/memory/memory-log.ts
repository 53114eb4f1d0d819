import type { LogRetention, SSERetention } from '../../options'
import { ChannelRetention } from '../channel-retention'
import { lifeMs } from '../life-times'
import type { MemoryLease } from './memory-lease'
import { describeLease, lostClosing } from './memory-lease'
import { MemoryPresence } from './memory-presence'
import { freeData, packData, sizeOf } from '../packed-data'
import type { LogClosing, LogEntry, LogPageLimit, LogState, PackedAppend } from '../types'

/**
 * Number of removed entries at the front of the array from which it is compacted, once they are also half of it. A `shift` for each would
 * cost O(n).
 */
const COMPACT_AT = 256

export interface StoredEntry extends LogEntry {
  at: number
  /** Bytes of the data. */
  bytes: number
  /** Whether code outside the log may refer to the entry. */
  shared: boolean
  key?: string
}

/** One log of the memory driver: its messages, its closing and its lease. Times are `performance.now()` times. */
export class MemoryLog {
  /** Closing that `finish` set; see {@link closing}. */
  ended: LogClosing | null = null
  readonly retention: ChannelRetention
  touchedAt = 0
  /** When a request last reported a reader of the log. */
  readAt = performance.now()
  #lease?: MemoryLease
  #presence?: MemoryPresence
  #last = 0
  /** Entries; the oldest one kept is `#entries[#head]`. */
  #entries: (StoredEntry | undefined)[] = []
  #head = 0
  readonly #keys = new Map<string, number>()
  #bytes = 0

  /** Takes the retention that applies until the first writer: the previous log's when a channel starts over. */
  constructor(readonly epoch: string, retention: SSERetention) {
    this.retention = retention instanceof ChannelRetention ? retention : new ChannelRetention(retention)
  }

  /** Newest offset assigned. */
  get last(): number {
    return this.#last
  }

  /** The lease; `undefined` if a tentative one expired before its holder used it. */
  get lease(): MemoryLease | undefined {
    const lease = this.#lease
    return lease?.tentativeAt === this.#last && performance.now() > lease.until ? undefined : lease
  }

  set lease(lease: MemoryLease | undefined) {
    this.#lease = lease
  }

  /** Records of the members. Created on first use. */
  get presence(): MemoryPresence {
    return this.#presence ??= new MemoryPresence()
  }

  /** Whether the log must be kept although it has no message. */
  get isInUse(): boolean {
    return this.closing !== null || this.lease !== undefined || (this.#presence?.size ?? 0) > 0
  }

  /** Number of messages kept. */
  get size(): number {
    return this.#entries.length - this.#head
  }

  /** Closing in effect: the one that was set, or that of a lost producer. */
  get closing(): LogClosing | null {
    return this.ended ?? lostClosing(this.lease)
  }

  /** When the log is deleted, unless it is used again before. */
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

  /**
   * Appends a message and returns its offset. If a message with the same key is kept, returns that one's offset. A new entry is also pushed
   * to `added`.
   */
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

  /** Kept entries after the offset `after`, up to the limit. */
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

  /** Applies a writer's retention, and drops the messages that it does not keep. */
  retain(retention: LogRetention): void {
    this.retention.update(retention)
    this.trimByAge()
    this.#trimBySize()
  }

  /** Drops the oldest messages beyond the limits. Keeps the newest message, however large it is. */
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
