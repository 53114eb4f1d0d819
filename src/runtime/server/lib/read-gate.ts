import { platform } from './platform/platform'

/**
 * Reason to read a log in the background, in order of priority: a `reader` that lacks messages, a `channel` with readers, another channel
 * (`unread`), or a retry of a failed read (`repeat`).
 */
export type ReadReason = 'reader' | 'channel' | 'unread' | 'repeat'

const ORDER: readonly ReadReason[] = ['reader', 'channel', 'unread', 'repeat']

/**
 * Limits the background reads of a process. After an outage of Redis, each channel must be read once. Thousands of reads at the same time
 * would delay everything else.
 */
export class ReadGate {
  #running = 0
  #repeats = 0
  readonly #waiting: Record<ReadReason, Set<() => void>> = { reader: new Set(), channel: new Set(), unread: new Set(), repeat: new Set() }

  constructor(private readonly maxReads = platform.maxReads, private readonly maxRepeats = platform.maxRepeats) {}

  /** Number of reads in flight. */
  get running(): number {
    return this.#running
  }

  /** Number of reads that wait for their turn. */
  get waiting(): number {
    return ORDER.reduce((sum, reason) => sum + this.#waiting[reason].size, 0)
  }

  /** Calls `read` as soon as there is room. Settles as it does. */
  async run<T>(reason: ReadReason, read: () => T | Promise<T>): Promise<T> {
    if (!this.#hasRoom(reason)) await new Promise<void>(resolve => this.#waiting[reason].add(resolve))
    else this.#take(reason)
    try {
      return await read()
    }
    finally {
      this.#running--
      if (reason === 'repeat') this.#repeats--
      this.#next()
    }
  }

  #hasRoom(reason: ReadReason): boolean {
    return this.#running < this.maxReads && (reason !== 'repeat' || this.#repeats < this.maxRepeats)
  }

  #take(reason: ReadReason): void {
    this.#running++
    if (reason === 'repeat') this.#repeats++
  }

  /** Starts the next read. Its place is taken first, so that no other read gets in between. */
  #next(): void {
    for (const reason of ORDER) {
      const [start] = this.#waiting[reason]
      if (!start || !this.#hasRoom(reason)) continue
      this.#waiting[reason].delete(start)
      this.#take(reason)
      return start()
    }
  }
}
