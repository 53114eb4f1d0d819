import { formatPosition } from '../../shared/position'
import { formatWhole } from '../../shared/whole-position'
import type { ChannelReader, Reader, ReaderStep } from './channel-reader'
import type { Run } from './run'

/** IDs of messages: the position in all channels, or only the one in their own, which all readers share. */
export type IdForm = 'whole' | 'own'

interface Member {
  readonly key: string
  readonly reader: ChannelReader
  /** Requested position, until the gap after it was delivered; or the marker of a reader that needs a snapshot. */
  asked?: string
  /** Position after the last delivered step. The reader itself may be ahead, with a step that is not delivered yet. */
  epoch: string
  offset: number
  /** It has ended, and its end was delivered. */
  isOver: boolean
}

const END: ReaderStep = { type: 'end' }

/**
 * Readers of several channels as one. Each step is of one channel, at most a page, and the channels have their turns. One read of the log
 * is in flight at a time; meanwhile the other channels continue with what is in memory.
 *
 * The gaps of the beginning come first. An `end` or `error` step ends only its channel; the last step is an `end` without a key.
 */
export class ChannelsReader implements Reader {
  wake: () => void = () => {}
  readonly #members: readonly Member[]
  /** Member of the last step. */
  #last?: Member
  /** Index of the next member to have its turn. */
  #turn = 0
  /** Number of members whose gap at the beginning was delivered, or that had none. */
  #told = 0
  /** Member whose read is in flight, or whose step waits in {@link #ready}. */
  #reading?: Member
  #ready?: ReaderStep
  #isClosed = false

  constructor(members: readonly { key: string, reader: ChannelReader, asked?: string }[], private readonly ids: IdForm) {
    const wake = () => this.wake()
    this.#members = members.map(({ key, reader, asked }) => {
      reader.wake = wake
      return { key, reader, asked: reader.gap ? asked ?? reader.marker : reader.marker, epoch: reader.epoch, offset: reader.offset, isOver: false }
    })
  }

  get current(): ChannelReader {
    return this.#last!.reader
  }

  get key(): string | undefined {
    return this.#last?.key
  }

  get id(): string | undefined {
    return this.ids === 'whole' ? this.position : undefined
  }

  /** Whole position: of all channels, after what was delivered. */
  get position(): string {
    return formatWhole(this.#members.map(member => [member.key, positionOf(member)]))
  }

  /** Whether every channel continues from its requested position. */
  get resumed(): boolean {
    return this.#members.every(({ reader }) => reader.resumed)
  }

  /** Start of each channel, by key. */
  get starts(): Record<string, { position: string, resumed: boolean }> {
    return Object.fromEntries(this.#members.map(member => [member.key, { position: positionOf(member), resumed: member.reader.resumed }]))
  }

  /** Whether every channel was read to its end, and none has failed. */
  get exhausted(): boolean {
    return this.#members.every(({ reader }) => reader.exhausted)
  }

  step(): ReaderStep | undefined {
    if (this.#isClosed) return undefined
    if (this.#ready) return this.#takeReady()
    const { length } = this.#members
    while (this.#told < length) {
      const member = this.#members[this.#told++]!
      const step = member.reader.gap ? this.#stepOf(member) : undefined
      if (step) return step
    }
    for (let tried = 0; tried < length; tried++) {
      const index = (this.#turn + tried) % length
      const step = this.#stepOf(this.#members[index]!)
      if (!step) continue
      this.#turn = index + 1
      return step
    }
    if (!this.#members.every(({ isOver }) => isOver)) return undefined
    this.#last = undefined
    return END
  }

  encode(run: Run): Uint8Array {
    const member = this.#last!
    const { key } = member
    if (this.ids === 'own') return run.bytesOf(key)
    const parts = this.#members.map(other => `${other.key}:${other === member ? '' : positionOf(other)}`)
    const index = this.#members.indexOf(member)
    return run.encode({ key, before: parts.slice(0, index + 1).join(), after: parts.slice(index + 1).map(part => `,${part}`).join('') })
  }

  close(): void {
    this.#isClosed = true
    this.#ready = undefined
    this.wake = () => {}
    for (const { reader } of this.#members) reader.close()
  }

  #takeReady(): ReaderStep {
    const member = this.#reading!
    const step = this.#ready!
    this.#reading = this.#ready = undefined
    this.#turn = this.#members.indexOf(member) + 1
    return this.#deliver(member, step)
  }

  /** The member's next step, if it needs no read. Otherwise its read begins, unless another one is in flight. */
  #stepOf(member: Member): ReaderStep | undefined {
    if (member.isOver || member === this.#reading) return undefined
    const step = member.reader.step(!this.#reading)
    if (!(step instanceof Promise)) return step && this.#deliver(member, step)
    this.#reading = member
    void step.then((next) => {
      if (this.#isClosed) return
      if (next) this.#ready = next
      else this.#reading = undefined
      this.wake()
    })
  }

  #deliver(member: Member, step: ReaderStep): ReaderStep {
    const { reader } = member
    this.#last = member
    if (step.type === 'unreachable') return step
    member.asked = reader.marker
    member.epoch = reader.epoch
    member.offset = reader.offset
    if (step.type === 'end' || step.type === 'error') {
      member.isOver = true
      reader.close()
    }
    return step
  }
}

function positionOf({ asked, epoch, offset }: Member): string {
  return asked ?? formatPosition(epoch, offset)
}
