import type { Snapshot } from '../hub/snapshot-reader'
import { NO_OFFSET, PAGE_LIMIT, Run } from '../hub/run'
import { assertSize, byteLength } from '../wire/encode'

/** Bytes of a part without its members. */
const FRAME_BYTES = byteLength(part([], true, true))

/** The members at a position as messages. Each part has at most `maxMessageBytes`, and about as much as a reader receives at a time. */
export function snapshotOf({ epoch, offset }: Pick<Snapshot, 'epoch' | 'offset'>, members: Iterable<string>, maxMessageBytes: number): Snapshot {
  const limit = Math.min(maxMessageBytes, PAGE_LIMIT.bytes) - FRAME_BYTES
  const parts: string[][] = [[]]
  let bytes = 0
  for (const member of members) {
    const size = byteLength(member) + 1
    if (bytes > 0 && bytes + size > limit) {
      parts.push([])
      bytes = 0
    }
    parts.at(-1)!.push(member)
    bytes += size
  }
  const last = parts.length - 1
  const runs = parts.map((part_, index) => new Run(epoch, [{ offset: index === last ? offset : NO_OFFSET, data: part(part_, index < last, index > 0) }]))
  return { epoch, offset, runs }
}

/** Throws `MESSAGE_TOO_LARGE` for a member that would not fit in a message. */
export function assertMemberSize(member: string, maxMessageBytes: number): void {
  assertSize(part([member], true, true), maxMessageBytes)
}

function part(members: readonly string[], more: boolean, continues: boolean): string {
  return `{"type":"members","members":[${members.join()}]${more ? ',"more":true' : ''}${continues ? ',"continues":true' : ''}}`
}
