import { packData } from '../drivers/packed-data'
import type { LogEntry } from '../drivers/types'
import { BoundedMap } from '../lib/bounded-map'
import type { Run } from './run'
import { cutRun } from './run'

export interface RecentLimit {
  messages: number
  bytes: number
}

/**
 * Maximum number of encoded runs that are kept. Readers at the head share one until the next message. A few readers that catch up, each
 * from another position, must not cause all of these to be encoded again. Runs that end before the head stay valid, so most of an answer is
 * encoded already for a client that reconnects. All recent messages of a channel, page by page, fit in this number.
 */
const SHARED_RUNS = { limit: 20 }

/** Approximate size of an entry without its data, in bytes. */
const ENTRY_BYTES = 128

/** Newest messages of a channel, without holes. Readers at or near the head receive them without a read of the log. */
export class RecentMessages {
  /** Entries; the oldest one kept is `#entries[#head]`, and those before it were dropped. */
  #entries: (LogEntry | undefined)[] = []
  #head = 0
  #bytes = 0
  /** Encoded runs by the offset before them, least recently used first. */
  readonly #shared = new BoundedMap<number, Run>(SHARED_RUNS)
  /** Most encodings that one run has: several if routes give the channel different keys. */
  #copies = 1
  #latest?: { after: number, run: Run }

  #last: number
  #mark?: string

  /** Expects the first message after `last`, whose mark is `mark`, if that is known. */
  constructor(readonly epoch: string, last: number, private readonly limit: RecentLimit, mark?: string) {
    this.#last = last
    this.#mark = mark
  }

  /** Newest offset, even if its message is not kept. */
  get last(): number {
    return this.#last
  }

  get size(): number {
    return this.#entries.length - this.#head
  }

  /** Approximate size in memory: the messages, and the same once more for each way in which they are encoded. */
  get bytes(): number {
    return (1 + this.#copies) * this.#bytes + ENTRY_BYTES * this.size
  }

  /** Mark of the message at {@link last}. */
  get mark(): string | undefined {
    return this.#mark
  }

  /**
   * Takes the messages after the newest one, and ignores known ones. Returns `false`, and takes nothing, if there is a hole before
   * `entries`, or perhaps another message at a known offset: then the log must be read.
   */
  push(entries: readonly LogEntry[]): boolean {
    if (entries.length && entries[0]!.offset > this.last + 1) return false
    const before = this.last - this.size
    for (const { offset, mark } of entries) {
      if (mark !== undefined && offset <= this.last && this.#entries[this.#head + offset - before - 1]?.mark !== mark) return false
    }
    const head = this.last
    for (const entry of entries) {
      if (entry.offset <= this.last) continue
      const data = packData(entry.data)
      this.#entries.push(data === entry.data ? entry : { ...entry, data })
      this.#bytes += data.length
      this.#last = entry.offset
      this.#mark = entry.mark
    }
    if (this.last > head) {
      this.#trim()
      this.#unshare(head)
    }
    return true
  }

  /** Drops everything, and expects the next message after `last`, whose mark is `mark`, if that is known. */
  reset(last: number, mark?: string): void {
    this.#entries = []
    this.#head = this.#bytes = 0
    this.#last = last
    this.#mark = mark
    this.#latest = undefined
    this.#shared.clear()
  }

  /** Drops all messages, and keeps the position. */
  forget(): void {
    this.reset(this.last, this.mark)
  }

  /** Messages after the offset `after`, about `maxBytes` at most; `undefined` if only the log has them. */
  runAfter(after: number, maxBytes: number): Run | undefined {
    if (this.#latest?.after === after) return this.#latest.run
    const run = this.#shared.get(after) ?? this.#cut(after, maxBytes)
    if (!run) return undefined
    this.#shared.set(after, run)
    this.#latest = { after, run }
    return run
  }

  #cut(after: number, maxBytes: number): Run | undefined {
    const first = this.last - this.size + 1
    if (after >= this.last || after + 1 < first) return undefined
    return cutRun(this.epoch, this.#entries as LogEntry[], this.#head + after + 1 - first, maxBytes)
  }

  /** Drops runs that reach `head`, since there is more to add to them, and runs whose first messages are not kept. */
  #unshare(head: number): void {
    this.#latest = undefined
    for (const [after, { last, copies }] of this.#shared) {
      this.#copies = Math.max(this.#copies, copies)
      if (last >= head || after < this.last - this.size) this.#shared.delete(after)
    }
  }

  #trim(): void {
    while (this.size > 1 && (this.size > this.limit.messages || this.#bytes > this.limit.bytes)) {
      this.#bytes -= this.#entries[this.#head]!.data.length
      this.#entries[this.#head++] = undefined
    }
    // Compacts now and then: moving the whole array for each dropped message would cost O(n) a message.
    if (this.#head > this.limit.messages) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
  }
}
