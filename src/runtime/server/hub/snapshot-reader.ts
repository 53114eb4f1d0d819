import { formatPosition } from '../../shared/position'
import { retryDelayMs } from '../lib/delays'
import { processTimeout } from '../lib/tick'
import type { ReaderStep } from './channel-reader'
import { MemberReader } from './channels-reader'
import type { HubChannel } from './hub-channel'
import type { ReplayStart } from './replay-start'
import { READ_RETRY } from './rereads'
import type { Run } from './run'

/** State of a channel at a position, as messages for a reader that does not resume. */
export interface Snapshot {
  readonly epoch: string
  readonly offset: number
  /** At least one. Only the last message has an ID: a reader that is cut off before it begins again. */
  readonly runs: readonly Run[]
}

/** Position of a reader that needs a snapshot first. */
export const BEFORE_SNAPSHOT = 'start'

/**
 * Reader of a channel that stands for a state, alone or among several: unless it resumes, and after each gap, it receives a snapshot in
 * place of older messages. Alone, it has no key.
 */
export class SnapshotReader<Key extends string | undefined> extends MemberReader<Key> {
  /** Whether a snapshot must be delivered first. */
  #isDue = false
  #snapshot?: Snapshot
  /** Number of runs that were delivered. */
  #delivered = 0
  #failures = 0
  #retry?: ReturnType<typeof setTimeout>
  #isOver = false

  constructor(channel: HubChannel, onClose: () => void, private readonly load: () => Promise<Snapshot>, key: Key, asked?: string) {
    super(channel, onClose, key, asked)
  }

  override get position(): string {
    return this.#isDue ? BEFORE_SNAPSHOT : super.position
  }

  override get marker(): string | undefined {
    return this.#isDue ? BEFORE_SNAPSHOT : undefined
  }

  override begin(start: ReplayStart): void {
    super.begin(start)
    this.#isDue = !start.resumed
    if (this.gap) this.gap = { ...this.gap, position: BEFORE_SNAPSHOT }
  }

  override step(mayRead = true): ReaderStep | Promise<ReaderStep | undefined> | undefined {
    if (this.#isOver) return undefined
    if (this.#isDue && !this.gap) return this.#next(mayRead)
    const step = super.step(mayRead)
    return step instanceof Promise ? step.then(found => this.#seen(found)) : this.#seen(step)
  }

  override close(): void {
    this.#isOver = true
    this.#snapshot = undefined
    clearTimeout(this.#retry)
    super.close()
  }

  /** After a gap, another snapshot is due. */
  #seen(step: ReaderStep | undefined): ReaderStep | undefined {
    if (step?.type !== 'gap') return step
    this.#isDue = true
    this.#snapshot = undefined
    return { ...step, gap: { ...step.gap, position: BEFORE_SNAPSHOT } }
  }

  #next(mayRead: boolean): ReaderStep | Promise<ReaderStep | undefined> | undefined {
    if (this.#snapshot) return this.#take(this.#snapshot)
    return this.#retry || !mayRead ? undefined : this.#load()
  }

  #take(snapshot: Snapshot): ReaderStep {
    const run = snapshot.runs[this.#delivered++]!
    if (this.#delivered === snapshot.runs.length) {
      this.#isDue = false
      this.#snapshot = undefined
    }
    return { type: 'messages', run }
  }

  async #load(): Promise<ReaderStep | undefined> {
    try {
      const snapshot = await this.load()
      if (this.#isOver) return undefined
      this.#failures = this.#delivered = 0
      this.#snapshot = snapshot
      // Now, while the hub is at this life of the log: a later one is a gap, after the snapshot.
      this.continueAt(snapshot)
      return this.#take(snapshot)
    }
    catch (error) {
      if (this.#isOver) return undefined
      this.#retry = processTimeout(() => {
        this.#retry = undefined
        this.wake()
      }, retryDelayMs(READ_RETRY, this.#failures))
      return this.#failures++ === 0 ? { type: 'unreachable', error } : undefined
    }
  }
}

/** Position of a snapshot, which is that of its last message. */
export function positionOfSnapshot({ epoch, offset }: Pick<Snapshot, 'epoch' | 'offset'>): string {
  return formatPosition(epoch, offset)
}
