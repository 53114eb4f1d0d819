import { formatPosition } from '../../shared/position'
import type { LogEntry } from '../drivers/types'
import { BoundedMap } from '../lib/bounded-map'
import { concatShared, encodeMessage, encodeMessageAround, encodeShared, encodeText } from '../wire/encode'

/**
 * Approximate limit of the messages that one reader receives at a time, and so of those in the socket of a reader that stops reading. Four
 * times as much is no faster: measured from Redis, 220 KB took 2.1 ms to be read and encoded either way.
 */
export const PAGE_LIMIT = { messages: 1_000, bytes: 65_536 }

/**
 * Limit of the opening read. If the log is not longer, its messages become the recent messages, and one read of the log sufficed. This is
 * an answer of 2,000 tokens: the same 220 KB took 3.1 ms page by page, and no less with twice this limit.
 */
export const OPENING_LIMIT = { messages: 4_096, bytes: 262_144 }

/** Maximum keys whose encoding of one run is kept: routes that share a channel rarely give it more names. */
const MAX_KEYS = 2

/** Offset of an entry that is no message of the log, and has no ID: a part of a snapshot. */
export const NO_OFFSET = -1

/** How messages are labelled where a connection has several channels: their IDs begin and end so, and their names begin with the key. */
export interface Label {
  readonly key: string
  readonly before: string
  readonly after: string
}

/** Adjacent messages of one channel, encoded when the first reader needs them, and once for all readers. */
export class Run {
  #bytes?: Uint8Array
  #keyed?: BoundedMap<string, Uint8Array>

  constructor(readonly epoch: string, readonly entries: readonly LogEntry[]) {}

  get last(): number {
    return this.entries.at(-1)!.offset
  }

  get bytes(): Uint8Array {
    return this.#bytes ??= encodeEntries(this.epoch, this.entries)
  }

  /** Number of encodings that this run keeps. */
  get copies(): number {
    return Number(this.#bytes !== undefined) + (this.#keyed?.size ?? 0)
  }

  /** Bytes for readers of several channels, in which this one has `key`, and whose IDs are those of its channel alone. */
  bytesOf(key: string): Uint8Array {
    const keyed = this.#keyed ??= new BoundedMap({ limit: MAX_KEYS })
    let bytes = keyed.get(key)
    if (!bytes) keyed.set(key, bytes = this.encode({ key, before: `${key}:`, after: '' }))
    return bytes
  }

  /** Bytes for one reader. */
  encode(label: Label): Uint8Array {
    return encodeEntries(this.epoch, this.entries, label)
  }
}

/** Cuts a run from an index on, up to the entry that reaches `maxBytes`. */
export function cutRun(epoch: string, entries: readonly LogEntry[], from: number, maxBytes: number): Run {
  let to = from
  for (let bytes = 0; to < entries.length && bytes < maxBytes; to++) bytes += entries[to]!.data.length
  return new Run(epoch, entries.slice(from, to))
}

/**
 * Length of text, in characters, from which it is encoded. V8 flattens concatenated text before it encodes it, which is half of the cost,
 * so the text of many messages is encoded in pieces.
 */
const ENCODE_LENGTH = 4_096

/** Collects text and encodes it together; copies bytes into their places. */
function encodeEntries(epoch: string, entries: readonly LogEntry[], label?: Label): Uint8Array {
  const chunks: Uint8Array[] = []
  let text = ''
  for (const { offset, event, data } of entries) {
    const position = offset === NO_OFFSET ? undefined : formatPosition(epoch, offset)
    const message = label ? labelled(label, position, event) : { id: position, event }
    if (typeof data === 'string') {
      text += encodeMessage({ ...message, data })
      if (text.length < ENCODE_LENGTH) continue
      chunks.push(encodeText(text))
      text = ''
      continue
    }
    // JSON has no raw line break, so the bytes are one line.
    const [before, after] = encodeMessageAround(message)
    chunks.push(encodeText(text + before), data)
    text = after
  }
  return chunks.length ? concatShared([...chunks, encodeText(text)]) : encodeShared(text)
}

function labelled({ key, before, after }: Label, position: string | undefined, event: string | undefined): { id?: string, event: string } {
  return { id: position === undefined ? undefined : before + position + after, event: event === undefined ? key : `${key}/${event}` }
}
