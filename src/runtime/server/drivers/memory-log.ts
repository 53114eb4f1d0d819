import type { MemoryLease } from './memory-lease'
import { describeLease, lostClosing } from './memory-lease'
import { packData } from './packed-data'
import type { LogAppend, LogClosing, LogEntry, LogPageLimit, LogState } from './types'

/** Removed entries wait at the front of the array until there are this many, and they are half of it: a `shift` each would cost O(n). */
const COMPACT_AT = 256

interface StoredEntry extends LogEntry {
  at: number
  key?: string
}

/** One log of the memory driver: its messages, how it ended, and who may fill it. Times are `performance.now()` times. */
export class MemoryLog {
  /** How it was ended; see {@link closing}. */
  ended: LogClosing | null = null
  maxAgeMs: number
  touchedAt = 0
  /** When somebody last said that the log is being read. */
  readAt = performance.now()
  #lease?: MemoryLease
  #last = 0
  /** `#entries[#head]` is the oldest one kept. */
  #entries: (StoredEntry | undefined)[] = []
  #head = 0
  readonly #keys = new Map<string, number>()

  constructor(readonly epoch: string, { maxAgeMs }: { maxAgeMs: number }) {
    this.maxAgeMs = maxAgeMs
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

  /** Nobody has written to it, ended it or filled it. */
  get isUnused(): boolean {
    return this.#last === 0 && !this.ended && !this.lease
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
  append({ event, data, key }: LogAppend, added: LogEntry[]): number {
    const known = key === undefined ? undefined : this.#keys.get(key)
    if (known !== undefined) return known
    const entry: StoredEntry = { offset: ++this.#last, event, data: packData(data), key, at: performance.now() }
    this.#entries.push(entry)
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
      entries.push(entry)
      bytes += entry.data.length
    }
    return entries
  }

  trimTo(maxMessages: number): void {
    this.#drop(this.size - maxMessages)
  }

  trimByAge(): void {
    const oldest = performance.now() - this.maxAgeMs
    let count = 0
    while (count < this.size && this.#entries[this.#head + count]!.at < oldest) count++
    this.#drop(count)
  }

  #drop(count: number): void {
    for (; count > 0; count--) {
      const { key } = this.#entries[this.#head]!
      if (key !== undefined) this.#keys.delete(key)
      this.#entries[this.#head++] = undefined
    }
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
  }
}
