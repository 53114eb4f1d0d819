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
 * How many encoded runs are kept. Readers at the head share one until the next message; a few that come from behind, each from
 * elsewhere, must not make all of those encode it anew. Those that do not reach the head stay right: whoever comes back to an
 * answer has most of it encoded already. So many are all that a channel may have that is recent, page by page.
 */
const SHARED_RUNS = { limit: 20 }

/** What an entry takes beside its data, about. */
const ENTRY_BYTES = 128

/** The newest messages of a channel, without holes: what readers at or near its head are given without asking the log. */
export class RecentMessages {
  /** `#entries[#head]` is the oldest one kept; those before it have been let go of. */
  #entries: (LogEntry | undefined)[] = []
  #head = 0
  #bytes = 0
  /** By the position before them; the one asked for longest ago comes first. */
  readonly #shared = new BoundedMap<number, Run>(SHARED_RUNS)
  #latest?: { after: number, run: Run }

  #last: number
  #mark?: string

  /** The first message is expected after `last`, whose mark is `mark`, if that is known. */
  constructor(readonly epoch: string, last: number, private readonly limit: RecentLimit, mark?: string) {
    this.#last = last
    this.#mark = mark
  }

  /** The newest offset, also where its message is not kept. */
  get last(): number {
    return this.#last
  }

  get size(): number {
    return this.#entries.length - this.#head
  }

  /** What it takes, about: as it is, and once more encoded. */
  get bytes(): number {
    return 2 * this.#bytes + ENTRY_BYTES * this.size
  }

  /** Mark of the message at {@link last}. */
  get mark(): string | undefined {
    return this.#mark
  }

  /**
   * Takes what follows the newest message; what is already had is dropped. `false` when there is a hole before
   * `entries`, or perhaps another message where one was: nothing is taken then, and the log must be read.
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

  /** Forgets everything: the next message is expected after `last`, whose mark is `mark`, if that is known. */
  reset(last: number, mark?: string): void {
    this.#entries = []
    this.#head = this.#bytes = 0
    this.#last = last
    this.#mark = mark
    this.#latest = undefined
    this.#shared.clear()
  }

  /** Drops all messages, and keeps the place. */
  forget(): void {
    this.reset(this.last, this.mark)
  }

  /** What follows `after`, at most about `maxBytes` of it, or `undefined` where only the log knows. */
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

  /** Lets go of runs that there is more to add to, behind `head`, or whose first messages are not kept. */
  #unshare(head: number): void {
    this.#latest = undefined
    for (const [after, { last }] of this.#shared) {
      if (last >= head || after < this.last - this.size) this.#shared.delete(after)
    }
  }

  #trim(): void {
    while (this.size > 1 && (this.size > this.limit.messages || this.#bytes > this.limit.bytes)) {
      this.#bytes -= this.#entries[this.#head]!.data.length
      this.#entries[this.#head++] = undefined
    }
    // Moving the whole array for each message that leaves would cost O(n) a message.
    if (this.#head > this.limit.messages) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
  }
}
