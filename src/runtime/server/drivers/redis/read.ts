import type { ChannelKeys } from './commands'
import { runScript } from './commands'
import type { RedisLink } from './connection/link'
import type { LogEntry, LogPage, LogPageLimit, LogSeen, LogState } from '../types'

/**
 * Bytes of a page that the script returns. Making Lua values out of entries is by far the largest cost of a read in Redis (2.8 µs an entry;
 * a bare `XRANGE` takes 0.6). So the script returns the part that most reads need: the state, and the new messages.
 */
const SCRIPT_BYTES = 4_096
/** Largest answer of an `XRANGE`, in pages, if all entries were as large as the largest. `XRANGE` counts entries and not bytes. */
const RANGE_FACTOR = 2
const MAX_RANGE_ENTRIES = 1_000
/** Ratio of the largest entry to the mean from which the script, which counts bytes, reads the rest of the page. */
const MIXED_FACTOR = 4

interface Reading {
  link: RedisLink
  until: number
  keys: ChannelKeys
  /** Epoch of a log that begins with this read. */
  candidate: string
  maxAgeMs: number
}

/** Entry of the stream: one message, or several. */
interface RedisEntry {
  id: string
  /** `d`, or the number of messages in the entry. */
  field: string
  event: string
  data: string
}

/** Reads a page of a log: the first part by the script, and the rest, if it is long, by `XRANGE`. */
export async function readRedisLog(reading: Reading, after: number, limit: LogPageLimit, seen?: LogSeen): Promise<LogPage> {
  const { state, largest, entries } = await script(reading, after, { ...limit, bytes: Math.min(limit.bytes, SCRIPT_BYTES) }, seen)
  const page = new Page(Math.max(after + 1, state.first), limit)
  for (const entry of entries) page.add(entry)
  // An answer without entries means that the log was evicted.
  while (entries.length && !page.full && page.next <= state.last) {
    const more = await rest(reading, page, Math.floor(RANGE_FACTOR * limit.bytes / largest), state.epoch)
    if (!more || !page.continues(more[0])) break
    for (const entry of more) page.add(entry)
  }
  return { ...upTo(page.entries.at(-1), state), entries: page.entries }
}

/** Updates the state to the newest message read, which may be newer than the state: a log that has grown since has no closing. */
function upTo(newest: LogEntry | undefined, state: LogState): LogState {
  return newest && newest.offset > state.last ? { ...state, last: newest.offset, mark: newest.mark, closing: null } : state
}

/** Reads the rest of a page, or a part of it. `undefined` when it may be of another epoch. */
async function rest(reading: Reading, page: Page, most: number, epoch: string): Promise<RedisEntry[] | undefined> {
  const wanted = Math.min(MAX_RANGE_ENTRIES, page.messagesLeft, Math.ceil(page.bytesLeft / page.meanBytes))
  if (MIXED_FACTOR * most >= wanted) return range(reading, page.next, Math.max(1, Math.min(wanted, most)), epoch)
  const { state, entries } = await script(reading, page.next - 1, { messages: page.messagesLeft, bytes: page.bytesLeft })
  return state.epoch === epoch ? entries : undefined
}

async function script({ link, until, keys, candidate, maxAgeMs }: Reading, after: number, { messages, bytes }: LogPageLimit, seen?: LogSeen): Promise<{ state: LogState, largest: number, entries: RedisEntry[] }> {
  const args = [candidate, maxAgeMs, after, messages, bytes, seen?.epoch ?? '', seen?.mark ?? '']
  const [epoch, first, last, mark, closing, lease, largest, ...rest] = await runScript(link, until, 'sseRead', keys, 0, args)
  const entries: RedisEntry[] = []
  for (let index = 0; index < rest.length; index += 3) {
    const field = rest[index + 1]!
    const single = field.startsWith('d')
    entries.push({ id: rest[index]!, field: single ? 'd' : field, event: single ? field.slice(1) : '', data: rest[index + 2]! })
  }
  return { state: stateOf([epoch!, first!, last!, mark!, closing!, lease!]), largest: Math.max(1, Number(largest)), entries }
}

/** Reads entries from an offset on. Their epoch is checked after they were read. */
async function range({ link, until, keys: { log, meta } }: Reading, from: number, count: number, epoch: string): Promise<RedisEntry[] | undefined> {
  const answers = await link.run(until, client => client.pipeline().xrange(log, String(from), '+', 'COUNT', count).hget(meta, 'epoch').exec())
  const [[failed, entries], [alsoFailed, now]] = answers as [[Error | null, [string, string[]][]], [Error | null, string | null]]
  if (failed ?? alsoFailed) throw failed ?? alsoFailed
  if (now !== epoch) return undefined
  return entries.map(([id, fields]) => ({ id, field: fields[0]!, event: eventOf(fields), data: fields[1]! }))
}

function eventOf(fields: string[]): string {
  for (let index = 2; index < fields.length; index += 2) if (fields[index] === 'e') return fields[index + 1]!
  return ''
}

/** Page cut out of entries: the messages from an offset on, up to the limit. */
class Page {
  readonly entries: LogEntry[] = []
  bytesLeft: number
  messagesLeft: number
  #bytes = 0
  #count = 0

  constructor(public next: number, limit: LogPageLimit) {
    this.bytesLeft = limit.bytes
    this.messagesLeft = limit.messages
  }

  get full(): boolean {
    return this.messagesLeft <= 0 || this.bytesLeft <= 0
  }

  /** Mean bytes of the entries so far. */
  get meanBytes(): number {
    return this.#bytes / this.#count
  }

  /** Whether nothing is missing before this entry. Messages that were kept when the state was read may have been trimmed since. */
  continues(entry: RedisEntry | undefined): boolean {
    return entry !== undefined && beginOf(entry) <= this.next
  }

  add(entry: RedisEntry): void {
    const { id, field, event, data } = entry
    this.#bytes += data.length
    this.#count++
    const mark = id.slice(id.indexOf('-') + 1)
    if (field === 'd') return this.#add({ offset: Number.parseInt(id), mark, event: event || undefined, data })
    const lines = data.split('\n')
    const begin = beginOf(entry)
    for (let index = Math.max(0, this.next - begin); index < lines.length; index++) this.#add({ offset: begin + index, mark, event: undefined, data: lines[index]! })
  }

  #add(entry: LogEntry): void {
    if (this.full) return
    this.entries.push(entry)
    this.next = entry.offset + 1
    this.messagesLeft--
    this.bytesLeft -= Buffer.byteLength(entry.data as string)
  }
}

function beginOf({ id, field }: RedisEntry): number {
  return Number.parseInt(id) - (field === 'd' ? 0 : Number(field) - 1)
}

/** Parses the state of a log from an answer of the scripts. */
export function stateOf([epoch, first, last, mark, closing, lease]: string[]): LogState {
  const state: LogState = { epoch: epoch!, first: Number(first), last: Number(last), mark, closing: closing ? JSON.parse(closing) : null }
  if (!lease) return state
  const [leftMs, lostInMs, stopping, unreadMs, tentative] = lease.split(' ').map(Number) as [number, number, number, number, number]
  return { ...state, lease: { leftMs, lostInMs, stopping: stopping === 1, unreadMs, ...tentative === 1 && { tentative: true } } }
}
