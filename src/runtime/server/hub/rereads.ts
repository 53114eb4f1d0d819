import type { ReadGate, ReadReason } from '../lib/read-gate'
import { retryDelayMs, spread } from '../lib/delays'
import { processTimeout } from '../lib/tick'
import type { LogState } from '../drivers/types'

/** When a read that failed is repeated, for a channel and for a reader alike. */
export const READ_RETRY = { firstMs: 500, maxMs: 2_000 }
/** When a process is gone, the others do not look at its channels all at once. At most a sixth of the shortest lease. */
const LATE_MS = 50

export interface RereadsInit {
  /** Bounds the reads of the process. */
  readonly gate: Pick<ReadGate, 'run'>
  /** How often a channel without notices is read; see `LogDriver`. */
  readonly recheckMs?: number
  readonly recheckMaxMs?: number
  /** Reads what is new. It calls {@link Rereads.begun} each time it asks the log. */
  read(): Promise<void>
  /** Changes whenever a read brought something new. */
  version(): number
}

/**
 * When the log of one channel is read in the background: after a notice, again after a read that failed, when a producer may be lost,
 * and now and then in silence, since a notice may be lost and no other may follow it.
 */
export class Rereads {
  #stopped = false
  /** The log may have changed since the last read began. */
  #due = false
  /** Why it waits for its turn at the gate. */
  #queued?: ReadReason
  /** Reads in a row that failed. */
  #failures = 0
  /** Looks in a row that found nothing new. */
  #quiet = 0
  /** The next look, or the next repeat of a read that failed. */
  #timer?: ReturnType<typeof setTimeout>
  #lease?: ReturnType<typeof setTimeout>
  #lostAt = Infinity

  constructor(private readonly init: RereadsInit) {}

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    clearTimeout(this.#lease)
  }

  /** The log is being asked: what changed before is in the answer. */
  begun(): void {
    this.#due = false
  }

  /** A notice arrived. */
  noticed(): void {
    if (this.#quiet > 0) this.#lookSoon()
  }

  /**
   * Reads what is new when it is this channel's turn. A notice is delivered once: if the read fails it is repeated, or readers would
   * never learn that the channel ended. Resolves with whether this read succeeded.
   */
  async now(reason: ReadReason = 'channel'): Promise<boolean> {
    if (this.#stopped) return false
    this.#due = true
    // Unless it waits where all others go first.
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

  /** Reads now and then without a notice. */
  lookLater(): void {
    const { recheckMs, recheckMaxMs = recheckMs } = this.init
    if (this.#stopped || !recheckMs || this.#timer) return
    this.#timer = processTimeout(() => {
      this.#timer = undefined
      void this.#look()
    }, recheckDelayMs(recheckMs, recheckMaxMs!, this.#quiet))
  }

  /** A producer that is lost can report nothing: when its lease is over, unless it is renewed, the log shows it. */
  lookWhenLost({ lease }: LogState): void {
    clearTimeout(this.#lease)
    this.#lease = undefined
    this.#lostAt = lease ? performance.now() + lease.lostInMs : Infinity
    if (this.#stopped || !lease) return
    this.#lease = processTimeout(() => void this.now(), Math.max(0, lease.lostInMs) + LATE_MS * Math.random())
  }

  /** For platforms where a timer may be gone with the request that set it. */
  lookIfLost(): void {
    if (performance.now() < this.#lostAt) return
    this.#lostAt = Infinity
    void this.now()
  }

  /** Backs off while nothing changes; a change without a notice is a reason to look often again. */
  async #look(): Promise<void> {
    const version = this.init.version()
    // Also where a read was due already: without a timer, a lost notice would be missed for good.
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

/** At the longest interval, the earliest and the latest look as parts of it. Late enough and close enough that all looks stay spread. */
const EARLIEST = 0.95
const LATEST = 1.15

/**
 * Milliseconds until a channel without notices is read again: `recheckMs` at first, and twice as long after each of the `quiet` looks
 * in a row that found nothing new, up to `maxMs`. Jittered: by half at first, and never more than 15 % beyond `maxMs`.
 */
export function recheckDelayMs(recheckMs: number, maxMs: number, quiet: number): number {
  if (maxMs <= recheckMs) return spread(recheckMs)
  const ms = recheckMs * 2 ** quiet
  if (ms < maxMs) return Math.min(spread(ms), maxMs * LATEST)
  // Channels that were opened together reach the longest interval together. They are spread over all of it once, and stay so.
  const isFirst = ms < 2 * maxMs
  return maxMs * (isFirst ? LATEST * Math.random() : EARLIEST + (LATEST - EARLIEST) * Math.random())
}
