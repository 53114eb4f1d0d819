import { platform } from './platform/platform'

/**
 * Why a log is read in the background, in the order in which reads get their turn: a `reader` that lacks messages, a `channel` that
 * has readers, another channel (`unread`), or a read that failed before (`repeat`).
 */
export type ReadReason = 'reader' | 'channel' | 'unread' | 'repeat'

const ORDER: readonly ReadReason[] = ['reader', 'channel', 'unread', 'repeat']

/**
 * Bounds the background reads of a process. When Redis is back after an outage, each channel must be read once: all at the same
 * time, thousands of reads would delay everything else.
 */
export class ReadGate {
  #running = 0
  #repeats = 0
  readonly #waiting: Record<ReadReason, Set<() => void>> = { reader: new Set(), channel: new Set(), unread: new Set(), repeat: new Set() }

  constructor(private readonly maxReads = platform.maxReads, private readonly maxRepeats = platform.maxRepeats) {}

  /** Reads under way. */
  get running(): number {
    return this.#running
  }

  /** Reads that wait for their turn. */
  get waiting(): number {
    return ORDER.reduce((sum, reason) => sum + this.#waiting[reason].size, 0)
  }

  /** Calls `read` at once if there is room, or as soon as there is. Settles as it does. */
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

  /** The place is taken before the next one runs: a newcomer must not get in between. */
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
