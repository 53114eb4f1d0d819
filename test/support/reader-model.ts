import type { SSEGap } from '../../src/runtime/shared/protocol'
import { parsePosition } from '../../src/runtime/shared/position'

/** Complete record of the published messages. */
export class Truth {
  /** Data of offset 1, 2, 3, … for each epoch. */
  readonly logs = new Map<string, unknown[]>()
  /** Newest offset that retention has removed, for each epoch. */
  readonly trimmed = new Map<string, number>()

  published(epoch: string, offset: number, data: unknown, maxMessages: number): void {
    const log = this.logs.get(epoch) ?? []
    this.logs.set(epoch, log)
    if (log[offset - 1] !== undefined) throw new Error(`Offset ${epoch}.${offset} was given out twice.`)
    log[offset - 1] = data
    this.trimmed.set(epoch, Math.max(this.trimmedUpTo(epoch), offset - maxMessages))
  }

  at(epoch: string, offset: number): unknown {
    return this.logs.get(epoch)?.[offset - 1]
  }

  trimmedUpTo(epoch: string): number {
    return this.trimmed.get(epoch) ?? 0
  }
}

/**
 * Checks order and completeness message by message: in order, once and whole, or an exact gap. Throws at the first
 * violation.
 */
export class Client {
  epoch = ''
  offset = 0
  /** Received steps, for the text of a failure. */
  readonly seen: string[] = []
  gaps = 0
  ended = false

  constructor(readonly truth: Truth, readonly name: string) {}

  get position(): string {
    return `${this.epoch}.${this.offset}`
  }

  /** Begins at a position that the server announced. `from` is the start of a new reader. */
  begin(position: string, from: 'start' | 'now', lastBefore: { epoch: string, offset: number }): void {
    const { epoch, offset } = parsePosition(position)!
    this.seen.push(`begin ${from} ${position}`)
    if (from === 'start' && offset > this.truth.trimmedUpTo(epoch)) this.fail(`begins behind ${position}, although ${this.truth.trimmedUpTo(epoch)} is the newest that was trimmed`)
    if (from === 'now' && epoch === lastBefore.epoch && offset < lastBefore.offset) this.fail(`begins at ${position}, before what was old when it asked (${lastBefore.offset})`)
    this.epoch = epoch
    this.offset = offset
  }

  message(id: string, data: unknown): void {
    this.seen.push(`message ${id} ${JSON.stringify(data)}`)
    const { epoch, offset } = parsePosition(id)!
    if (this.ended) this.fail('got a message behind the end')
    if (epoch !== this.epoch || offset !== this.offset + 1) this.fail(`expected ${this.epoch}.${this.offset + 1}, got ${id}`)
    if (this.truth.at(epoch, offset) !== data) this.fail(`expected the data of ${id} to be ${String(this.truth.at(epoch, offset))}, got ${String(data)}`)
    this.offset = offset
  }

  gap({ reason, missed, position }: SSEGap): void {
    this.seen.push(`gap ${reason} ${missed} ${position}`)
    this.gaps++
    const { epoch, offset } = parsePosition(position)!
    if (offset > this.truth.trimmedUpTo(epoch)) this.fail(`a gap up to ${position}, although only ${this.truth.trimmedUpTo(epoch)} were trimmed`)
    if (reason === 'trimmed') {
      if (epoch !== this.epoch) this.fail('a gap of another epoch that says `trimmed`')
      if (missed !== offset - this.offset || missed <= 0) this.fail(`a gap to ${position} that says ${missed}`)
    }
    else if (reason === 'epoch') {
      if (epoch === this.epoch) this.fail('a gap of the same epoch that says `epoch`')
      if (missed !== null) this.fail('a gap of another epoch that claims to know how many')
    }
    else {
      this.fail(`a gap that says \`${reason}\``)
    }
    this.epoch = epoch
    this.offset = offset
  }

  end(): void {
    this.seen.push('end')
    this.ended = true
  }

  fail(reason: string): never {
    throw new Error(`${this.name}: ${reason}.\n${this.seen.slice(-20).join('\n')}`)
  }
}
