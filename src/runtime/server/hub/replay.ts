import { formatPosition } from '../../shared/position'
import type { PositionRequest } from '../../shared/position'
import type { SSEGap, SSEGapReason } from '../../shared/protocol'
import type { LogEntry, LogState } from '../drivers/types'
import { packData } from '../drivers/packed-data'
import { concatShared, encodeMessage, encodeMessageAround, encodeShared, encodeText } from '../wire/encode'

/**
 * How live messages and the log become one ordered sequence. Pure: no timers, no driver, no connection.
 *
 * Everything is addressed by offset, and offsets have no holes; so "what comes next" is always a question with one
 * answer, and nobody has to remember what was sent.
 */

/** Where a reader begins, and what it must be told first. */
export interface ReplayStart {
  /** The reader has everything up to here, this one included. */
  offset: number
  /** It goes on from the position that it asked for. */
  resumed: boolean
  gap: SSEGap | null
}

/**
 * Answers a request for a position. `'malformed'` is one that could not be parsed and may not be refused, because it
 * came from a browser that would never ask again.
 */
export function locate(request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now', state: LogState): ReplayStart {
  const oldest = state.first - 1
  const missing = (reason: SSEGapReason, missed: number | null): ReplayStart =>
    ({ offset: oldest, resumed: false, gap: { reason, missed, position: formatPosition(state.epoch, oldest) } })

  if (request === 'malformed') return missing('invalid', null)
  const kind = request?.kind ?? from
  if (kind === 'start') return { offset: oldest, resumed: false, gap: null }
  if (kind === 'now') return { offset: state.last, resumed: false, gap: null }

  const { offset, epoch } = { epoch: state.epoch, ...request as Extract<PositionRequest, { offset: number }> }
  if (epoch !== state.epoch) return missing('epoch', null)
  if (offset > state.last) return missing('invalid', null)
  if (offset < oldest) return missing('trimmed', oldest - offset)
  return { offset, resumed: true, gap: null }
}

/** Where to read before the state of the log is known: for most who ask it is right, and one read is all they need. */
export function firstGuess(request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now'): number {
  if (typeof request === 'object' && 'offset' in request) return request.offset
  const kind = request === 'malformed' ? 'start' : request?.kind ?? from
  // Behind everything, so that a page of what nobody asked for is not fetched only to learn where the end is.
  return kind === 'now' ? Number.MAX_SAFE_INTEGER : 0
}

/** The gap of a reader at `position`, if the log no longer keeps what follows it. */
export function gapBehind(position: { epoch: string, offset: number }, state: LogState): SSEGap | null {
  const { gap } = locate({ kind: 'at', ...position }, 'start', state)
  return gap
}

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

export interface RecentLimit {
  messages: number
  bytes: number
}

/**
 * How many encoded runs are kept. Readers at the head share one until the next message; a few that come from behind, each from
 * elsewhere, must not make all of those encode it anew. Those that do not reach the head stay right: whoever comes back to an
 * answer has most of it encoded already. So many are all that a channel may have that is recent, page by page.
 */
const SHARED_RUNS = 20

/** What an entry takes beside its data, about. */
const ENTRY_BYTES = 128

/** The newest messages of a channel, without holes: what readers at or near its head are given without asking the log. */
export class RecentMessages {
  /** `#entries[#head]` is the oldest one kept; those before it have been let go of. */
  #entries: (LogEntry | undefined)[] = []
  #head = 0
  #bytes = 0
  /** By the position before them; the one asked for longest ago comes first. */
  readonly #shared = new Map<number, Run>()
  #latest?: { after: number, run: Run }

  /** The first message is expected behind `last`. */
  constructor(readonly epoch: string, public last: number, private readonly limit: RecentLimit) {}

  get size(): number {
    return this.#entries.length - this.#head
  }

  /** What it takes, about: as it is, and once more encoded. */
  get bytes(): number {
    return 2 * this.#bytes + ENTRY_BYTES * this.size
  }

  /** Of the newest message. */
  get mark(): string | undefined {
    return this.size ? this.#entries.at(-1)!.mark : undefined
  }

  /**
   * Takes what follows the newest message; what is already had is dropped. `false` when there is a hole before
   * `entries`, or perhaps another message where one was: nothing is taken then, and the log must be read.
   */
  push(entries: readonly LogEntry[]): boolean {
    if (entries.length && entries[0]!.offset > this.last + 1) return false
    const before = this.last - this.size
    for (const { offset, mark } of entries) {
      if (mark !== undefined && offset <= this.last && this.#entries[this.#head + offset - before - 1]?.mark !== mark) return false
    }
    const head = this.last
    for (const entry of entries) {
      if (entry.offset <= this.last) continue
      const data = packData(entry.data)
      this.#entries.push(data === entry.data ? entry : { ...entry, data })
      this.#bytes += data.length
      this.last = entry.offset
    }
    if (this.last > head) {
      this.#trim()
      this.#unshare(head)
    }
    return true
  }

  /** Forgets everything: the next message is expected behind `last`. */
  reset(last: number): void {
    this.#entries = []
    this.#head = this.#bytes = 0
    this.last = last
    this.#latest = undefined
    this.#shared.clear()
  }

  /** Lets go of everything, and goes on behind it. */
  forget(): void {
    this.reset(this.last)
  }

  /** What follows `after`, at most about `maxBytes` of it, or `undefined` where only the log knows. */
  runAfter(after: number, maxBytes: number): Run | undefined {
    if (this.#latest?.after === after) return this.#latest.run
    const run = this.#shared.get(after) ?? this.#cut(after, maxBytes)
    if (!run) return undefined
    // Taken out first, so that it becomes the last of the map.
    this.#shared.delete(after)
    this.#shared.set(after, run)
    if (this.#shared.size > SHARED_RUNS) this.#shared.delete(this.#shared.keys().next().value!)
    this.#latest = { after, run }
    return run
  }

  #cut(after: number, maxBytes: number): Run | undefined {
    const first = this.last - this.size + 1
    if (after >= this.last || after + 1 < first) return undefined
    return cutRun(this.epoch, this.#entries as LogEntry[], this.#head + after + 1 - first, maxBytes)
  }

  /** Lets go of runs that there is more to add to, behind `head`, or whose first messages are not kept. */
  #unshare(head: number): void {
    this.#latest = undefined
    for (const [after, { last }] of this.#shared) {
      if (last >= head || after < this.last - this.size) this.#shared.delete(after)
    }
  }

  #trim(): void {
    while (this.size > 1 && (this.size > this.limit.messages || this.#bytes > this.limit.bytes)) {
      this.#bytes -= this.#entries[this.#head]!.data.length
      this.#entries[this.#head++] = undefined
    }
    // Moving the whole array for each message that leaves would cost O(n) a message.
    if (this.#head > this.limit.messages) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
  }
}
