import { formatPosition } from '../../shared/position'
import type { LogEntry } from '../drivers/types'
import { concatShared, encodeMessage, encodeMessageAround, encodeShared, encodeText } from '../wire/encode'

/** Adjacent messages of one channel: encoded when the first reader asks, and once for all of them. */
export class Run {
  #bytes?: Uint8Array

  constructor(readonly epoch: string, readonly entries: readonly LogEntry[]) {}

  get last(): number {
    return this.entries.at(-1)!.offset
  }

  get bytes(): Uint8Array {
    return this.#bytes ??= encodeEntries(this.epoch, this.entries)
  }
}

/** Entries from an index on, up to the one that reaches `maxBytes`. */
export function cutRun(epoch: string, entries: readonly LogEntry[], from: number, maxBytes: number): Run {
  let to = from
  for (let bytes = 0; to < entries.length && bytes < maxBytes; to++) bytes += entries[to]!.data.length
  return new Run(epoch, entries.slice(from, to))
}

/** Text of many messages is encoded in pieces: V8 makes one flat text of what was added up before it encodes it, which is half of the cost. */
const ENCODE_LENGTH = 4_096

/** Text is gathered and encoded at once; bytes are copied into their places. */
function encodeEntries(epoch: string, entries: readonly LogEntry[]): Uint8Array {
  const chunks: Uint8Array[] = []
  let text = ''
  for (const { offset, event, data } of entries) {
    const message = { id: formatPosition(epoch, offset), event }
    if (typeof data === 'string') {
      text += encodeMessage({ ...message, data })
      if (text.length < ENCODE_LENGTH) continue
      chunks.push(encodeText(text))
      text = ''
      continue
    }
    // JSON has no raw line break, so that its bytes are one line.
    const [before, after] = encodeMessageAround(message)
    chunks.push(encodeText(text + before), data)
    text = after
  }
  return chunks.length ? concatShared([...chunks, encodeText(text)]) : encodeShared(text)
}
