import { SSEError } from '../../shared/errors'
import type { SSEPresenceMember, SSEPresenceMessage } from '../../shared/presence'
import type { SSEContext } from '../context/context'
import { unpackData } from '../drivers/packed-data'
import type { PresenceAnswer } from '../drivers/presence-types'
import type { ChannelReader } from '../hub/channel-reader'
import type { Snapshot } from '../hub/snapshot-reader'
import type { Run } from '../hub/run'
import { snapshotOf } from './members-snapshot'

/** Maximum number of loads for one snapshot, if the log changes its epoch before each. */
const MAX_LOADS = 5

/**
 * All members of one name, as this process knows them: loaded once, then kept by reading the log. Newcomers receive their list from here, so
 * that a list costs the driver nothing.
 */
export class Roster {
  readonly #members = new Map<string, string>()
  #reader?: ChannelReader
  #snapshot?: Snapshot
  #loading?: Promise<void>
  #watchers = 0
  /** Position of the last step of this process: the roster must not be older. */
  #expected?: { epoch: string, last: number }

  /** `list` reads all members from the driver. Passes each member that is read, as JSON, to `onMember`. */
  constructor(private readonly context: SSEContext, private readonly name: string, private readonly list: () => Promise<PresenceAnswer>, private readonly onMember: (id: string, member: string) => void) {}

  get isWatched(): boolean {
    return this.#watchers > 0
  }

  /** Keeps the roster until the returned function is called. */
  watch(): () => void {
    this.#watchers++
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      if (--this.#watchers === 0) this.#drop()
    }
  }

  /** Sets the position that a later snapshot must include. */
  expect(position: { epoch: string, last: number }): void {
    this.#expected = position
  }

  /** The members at a position. Rejects when the driver cannot be reached. */
  async snapshot(): Promise<Snapshot> {
    const release = this.watch()
    try {
      // One load at a time, which all newcomers share.
      while (!this.#isCurrent()) await (this.#loading ??= this.#load().finally(() => this.#loading = undefined))
      const { epoch, offset } = this.#reader!
      return this.#snapshot ??= snapshotOf({ epoch, offset }, this.#members.values(), this.context.options.maxMessageBytes)
    }
    finally {
      release()
    }
  }

  /** Whether nothing is missing, after the news that are in memory. */
  #isCurrent(): boolean {
    if (this.#loading || !this.#reader || !this.#follow()) return false
    const { epoch, offset } = this.#reader
    return !this.#expected || this.#expected.epoch !== epoch || this.#expected.last <= offset
  }

  async #load(): Promise<void> {
    for (let loads = 0; loads < MAX_LOADS; loads++) {
      if (this.#reader) {
        if (await this.#catchUp()) {
          // Read after the step that is expected: a log that is still behind it has lost it.
          this.#expected = undefined
          return
        }
      }
      else {
        const { epoch, last, members } = await this.list()
        const reader = await this.context.hub.reader(this.name, { kind: 'at', epoch, offset: last }, 'start')
        if (reader.resumed && this.#watchers > 0) {
          this.#begin(reader, members!)
          if (this.#expected && this.#expected.epoch !== epoch) this.#expected = undefined
          continue
        }
        reader.close()
      }
      this.#drop()
    }
    throw new SSEError('DRIVER_UNAVAILABLE', 'The list of members changes too fast to be read.', { statusCode: 503 })
  }

  #begin(reader: ChannelReader, members: readonly string[]): void {
    this.#reader = reader
    this.#members.clear()
    this.#snapshot = undefined
    for (const member of members) this.#set((JSON.parse(member) as SSEPresenceMember).id, member)
    reader.wake = () => {
      if (!this.#loading) this.#follow()
    }
  }

  /** Reads the log up to the expected position. `false`: it was replaced. */
  async #catchUp(): Promise<boolean> {
    await this.context.hub.refresh(this.name)
    for (let step = await this.#reader?.step(); step; step = await this.#reader?.step()) {
      if (step.type === 'unreachable') throw step.error
      if (step.type !== 'messages') return false
      this.#apply(step.run)
    }
    return this.#reader !== undefined
  }

  /** Takes the news that are in memory. `false`: the rest must be read. */
  #follow(): boolean {
    while (this.#reader) {
      const step = this.#reader.step(false)
      if (!step) return this.#reader.isUpToDate
      if (step instanceof Promise || step.type !== 'messages') {
        this.#drop()
        return false
      }
      this.#apply(step.run)
    }
    return false
  }

  #apply({ entries }: Run): void {
    this.#snapshot = undefined
    for (const { data } of entries) {
      // Another version may send more. An error here would end the process: the hub wakes its readers.
      const { type, id, member } = (JSON.parse(unpackData(data)) ?? {}) as { type?: SSEPresenceMessage['type'], id?: string, member?: SSEPresenceMember }
      if (type === 'leave' && id !== undefined) this.#members.delete(id)
      else if ((type === 'join' || type === 'update') && member) this.#set(member.id, JSON.stringify(member))
    }
  }

  #set(id: string, member: string): void {
    this.#members.set(id, member)
    this.onMember(id, member)
  }

  #drop(): void {
    this.#reader?.close()
    this.#reader = this.#snapshot = undefined
    this.#members.clear()
  }
}
