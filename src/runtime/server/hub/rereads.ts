import type { ReadGate, ReadReason } from '../lib/read-gate'
import { retryDelayMs, spread } from '../lib/delays'
import { processTimeout } from '../lib/tick'
import type { LogState } from '../drivers/types'

/** Delays between retries of a failed read, for channels and readers. */
export const READ_RETRY = { firstMs: 500, maxMs: 2_000 }
/**
 * Longest random delay of a read after a lease has expired, in milliseconds: when a process is lost, the others should not read its
 * channels all at once. At most a sixth of the shortest lease.
 */
const LATE_MS = 50

export interface RereadsInit {
  /** Gate that bounds the reads of the process. */
  readonly gate: Pick<ReadGate, 'run'>
  /** Interval at which a channel without notices is read; see `LogDriver`. */
  readonly recheckMs?: number
  readonly recheckMaxMs?: number
  /** Reads new messages. It calls {@link Rereads.begun} before each read of the log. */
  read(): Promise<void>
  /** Counter that changes whenever a read brought something new. */
  version(): number
}

/**
 * Schedule of the background reads of one channel: after a notice, after a failed read, and when a producer may be lost. Also now and then
 * in silence, since a notice may be lost and no other may follow it.
 */
export class Rereads {
  #stopped = false
  /** Whether the log may have changed since the last read began. */
  #due = false
  /** Reason of the read that waits for its turn at the gate. */
  #queued?: ReadReason
  /** Consecutive failed reads. */
  #failures = 0
  /** Consecutive timed reads that found nothing new. */
  #quiet = 0
  /** Timer of the next timed read, or of the next retry. */
  #timer?: ReturnType<typeof setTimeout>
  #lease?: ReturnType<typeof setTimeout>
  #lostAt = Infinity

  constructor(private readonly init: RereadsInit) {}

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    clearTimeout(this.#lease)
  }

  /** Called when a read begins: its answer contains every earlier change. */
  begun(): void {
    this.#due = false
  }

  /** Called when a notice has arrived. */
  noticed(): void {
    if (this.#quiet > 0) this.#lookSoon()
  }

  /**
   * Reads new messages when it is this channel's turn. A notice is delivered once: a failed read is retried, or readers would never learn
   * that the channel ended. Resolves with whether this read succeeded.
   */
  async now(reason: ReadReason = 'channel'): Promise<boolean> {
    if (this.#stopped) return false
    this.#due = true
    // A read waits at the gate already. If it is a retry, which waits until all others are done, a more urgent read is queued too.
    if (this.#queued && (this.#queued !== 'repeat' || reason === 'repeat')) return false
    this.#queued = reason
    try {
      await this.init.gate.run(reason, () => {
        this.#queued = undefined
        return this.#due ? this.init.read() : undefined
      })
    }
    catch {
      this.#repeatLater()
      return false
    }
    if (this.#failures > 0) {
      this.#failures = 0
      this.#lookSoon()
    }
    return true
  }

  /** Schedules the next read without a notice. */
  lookLater(): void {
    const { recheckMs, recheckMaxMs = recheckMs } = this.init
    if (this.#stopped || !recheckMs || this.#timer) return
    this.#timer = processTimeout(() => {
      this.#timer = undefined
      void this.#look()
    }, recheckDelayMs(recheckMs, recheckMaxMs!, this.#quiet))
  }

  /** Schedules a read for the end of a lease: a lost producer reports nothing, and only the log shows the loss. */
  lookWhenLost({ lease }: LogState): void {
    clearTimeout(this.#lease)
    this.#lease = undefined
    this.#lostAt = lease ? performance.now() + lease.lostInMs : Infinity
    if (this.#stopped || !lease) return
    this.#lease = processTimeout(() => void this.now(), Math.max(0, lease.lostInMs) + LATE_MS * Math.random())
  }

  /** Reads if the lease has expired, for platforms where a timer may end with the request that set it. */
  lookIfLost(): void {
    if (performance.now() < this.#lostAt) return
    this.#lostAt = Infinity
    void this.now()
  }

  /** Reads, and backs off while nothing changes. A change without a notice resets the interval. */
  async #look(): Promise<void> {
    const version = this.init.version()
    // Also if a read was due already: without a timer, a lost notice would be missed for good.
    if (!await this.now()) return this.lookLater()
    this.#quiet = version === this.init.version() ? this.#quiet + 1 : 0
    this.lookLater()
  }

  #lookSoon(): void {
    this.#quiet = 0
    if (this.#failures > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.lookLater()
  }

  #repeatLater(): void {
    if (this.#stopped) return
    this.#quiet = 0
    clearTimeout(this.#timer)
    this.#timer = processTimeout(() => {
      this.#timer = undefined
      void this.now('repeat')
    }, retryDelayMs(READ_RETRY, this.#failures++))
  }
}

/**
 * Earliest and latest timed read as factors of the longest interval: short enough, and wide enough to keep the reads of all channels
 * spread.
 */
const EARLIEST = 0.95
const LATEST = 1.15

/**
 * Milliseconds until a channel without notices is read again: `recheckMs` at first, and twice as long after each of the `quiet` consecutive
 * reads that found nothing new, up to `maxMs`. Jittered: by half at first, and never more than 15 % beyond `maxMs`.
 */
export function recheckDelayMs(recheckMs: number, maxMs: number, quiet: number): number {
  if (maxMs <= recheckMs) return spread(recheckMs)
  const ms = recheckMs * 2 ** quiet
  if (ms < maxMs) return Math.min(spread(ms), maxMs * LATEST)
  // Channels that were opened together reach the longest interval together. Their reads are spread over all of it once, and stay spread.
  const isFirst = ms < 2 * maxMs
  return maxMs * (isFirst ? LATEST * Math.random() : EARLIEST + (LATEST - EARLIEST) * Math.random())
}
