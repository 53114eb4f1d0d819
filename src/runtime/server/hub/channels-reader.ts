import { formatPosition } from '../../shared/position'
import { formatWhole } from '../../shared/whole-position'
import type { Reader, ReaderStep } from './channel-reader'
import { ChannelReader } from './channel-reader'
import type { HubChannel } from './hub-channel'
import type { Run } from './run'

/** IDs of messages: the position in all channels, or only the one in their own, which all readers share. */
export type IdForm = 'whole' | 'own'

/**
 * Reader of one among several channels. One object, because each message touches the objects of all its readers: what does not fit in the
 * processor's cache is most of the cost.
 */
export class MemberReader<Key extends string | undefined = string> extends ChannelReader {
  owner?: ChannelsReader
  /** Bit of this member in the mask of those that are awake. */
  bit = 0
  /** Position after the last delivered step. The reader itself may be ahead, with a step that is not delivered yet. */
  toldEpoch = ''
  toldOffset = 0

  /** `asked`: requested position, until the gap after it was delivered; or the marker of a reader that needs a snapshot. */
  constructor(channel: HubChannel, onClose: () => void, readonly ownKey: Key, public asked?: string) {
    super(channel, onClose)
  }

  override get key(): Key {
    return this.ownKey
  }

  /** Position in this channel after what was delivered. */
  get told(): string {
    return this.asked ?? formatPosition(this.toldEpoch, this.toldOffset)
  }

  override wake(): void {
    this.owner?.awaken(this.bit)
  }
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
  readonly #members: readonly MemberReader[]
  /** Member of the last step. */
  #last?: MemberReader
  /** Index of the next member to have its turn. */
  #turn = 0
  /** Number of members whose gap at the beginning was delivered, or that had none. */
  #told = 0
  /** Member whose read is in flight, or whose step waits in {@link #ready}. */
  #reading?: MemberReader
  #ready?: ReaderStep
  /** Bits of the members that may have a step. Most wakes concern one of them, and the others are not looked at. */
  #awake = 0
  /** Number of members whose end was not delivered. */
  #open: number
  #isClosed = false

  constructor(members: readonly MemberReader[], private readonly ids: IdForm) {
    this.#members = members
    for (const [index, member] of members.entries()) {
      member.owner = this
      member.bit = 1 << index
      member.toldEpoch = member.epoch
      member.toldOffset = member.offset
      member.asked = member.gap ? member.asked ?? member.marker : member.marker
      this.#awake |= member.bit
    }
    this.#open = members.length
  }

  get current(): MemberReader {
    return this.#last!
  }

  get key(): string | undefined {
    return this.#last?.key
  }

  get id(): string | undefined {
    return this.ids === 'whole' ? this.position : undefined
  }

  /** Whole position: of all channels, after what was delivered. */
  get position(): string {
    return formatWhole(this.#members.map(member => [member.key, member.told]))
  }

  /** Whether every channel continues from its requested position. */
  get resumed(): boolean {
    return this.#members.every(({ resumed }) => resumed)
  }

  /** Start of each channel, by key. */
  get starts(): Record<string, { position: string, resumed: boolean }> {
    return Object.fromEntries(this.#members.map(member => [member.key, { position: member.told, resumed: member.resumed }]))
  }

  /** Whether every channel was read to its end, and none has failed. */
  get exhausted(): boolean {
    return this.#members.every(({ exhausted }) => exhausted)
  }

  /** For a member: it may have a step. */
  awaken(bit: number): void {
    this.#awake |= bit
    this.wake()
  }

  step(): ReaderStep | undefined {
    if (this.#isClosed) return undefined
    if (this.#ready) return this.#takeReady()
    const { length } = this.#members
    while (this.#told < length) {
      const member = this.#members[this.#told++]!
      const step = member.gap ? this.#stepOf(member) : undefined
      if (step) return step
    }
    for (let tried = 0; tried < length && this.#awake; tried++) {
      const index = (this.#turn + tried) % length
      // The bit first: objects of the other members need not be in the processor's cache.
      if (!(this.#awake & 1 << index)) continue
      const step = this.#stepOf(this.#members[index]!)
      if (!step) continue
      this.#turn = index + 1
      return step
    }
    if (this.#open > 0) return undefined
    this.#last = undefined
    return END
  }

  encode(run: Run): Uint8Array {
    const member = this.#last!
    const { key } = member
    if (this.ids === 'own') return run.bytesOf(key)
    const parts = this.#members.map(other => `${other.key}:${other === member ? '' : other.told}`)
    const index = this.#members.indexOf(member)
    return run.encode({ key, before: parts.slice(0, index + 1).join(), after: parts.slice(index + 1).map(part => `,${part}`).join('') })
  }

  close(): void {
    this.#isClosed = true
    this.#ready = undefined
    this.wake = () => {}
    for (const member of this.#members) member.close()
  }

  #takeReady(): ReaderStep {
    const member = this.#reading!
    const step = this.#ready!
    this.#reading = this.#ready = undefined
    this.#turn = this.#members.indexOf(member) + 1
    return this.#deliver(member, step)
  }

  /** The member's next step, if it needs no read. Otherwise its read begins, unless another one is in flight. */
  #stepOf(member: MemberReader): ReaderStep | undefined {
    if (member === this.#reading) return undefined
    const mayRead = !this.#reading
    const step = member.step(mayRead)
    if (step instanceof Promise) this.#await(member, step)
    else if (step) return this.#deliver(member, step)
    // It sleeps until it is woken. If it was not allowed to read, it has the next turn to read.
    else if (mayRead) this.#awake &= ~member.bit
    return undefined
  }

  #await(member: MemberReader, step: Promise<ReaderStep | undefined>): void {
    this.#reading = member
    void step.then((next) => {
      if (this.#isClosed) return
      if (next) this.#ready = next
      else this.#reading = undefined
      this.wake()
    })
  }

  #deliver(member: MemberReader, step: ReaderStep): ReaderStep {
    this.#last = member
    if (step.type === 'unreachable') return step
    member.asked = member.marker
    member.toldEpoch = member.epoch
    member.toldOffset = member.offset
    if (step.type === 'end' || step.type === 'error') {
      this.#awake &= ~member.bit
      this.#open--
      member.close()
    }
    return step
  }
}
