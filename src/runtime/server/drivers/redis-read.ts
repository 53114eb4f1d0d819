import type { ChannelKeys } from './redis-commands'
import { runScript } from './redis-commands'
import type { RedisLink } from './redis-link'
import type { LogEntry, LogPage, LogPageLimit, LogSeen, LogState } from './types'

/**
 * What the script gives of a page. Making values of Lua out of entries is by far the most that a read costs Redis (2.8 µs
 * an entry, against 0.6 of a bare `XRANGE`), so that it gives what most reads ask for: the state, and what is new.
 */
const SCRIPT_BYTES = 8_192
/** Of the limit of bytes, what one `XRANGE` may answer: it can count entries, and the largest bounds each of them. */
const RANGE_FACTOR = 2
const MAX_RANGE_ENTRIES = 1_000

interface Reading {
  link: RedisLink
  until: number
  keys: ChannelKeys
  /** The epoch of a log that begins with this read. */
  candidate: string
  maxAgeMs: number
}

/** An entry as Redis keeps it: one message, or several. */
interface RedisEntry {
  id: string
  /** `d`, or the number of its messages. */
  field: string
  event: string
  data: string
}

/** A page of a log: by the script, and where that would be much, the rest by `XRANGE`. */
export async function readRedisLog({ link, until, keys, candidate, maxAgeMs }: Reading, after: number, limit: LogPageLimit, seen?: LogSeen): Promise<LogPage> {
  const args = [candidate, maxAgeMs, after, limit.messages, Math.min(limit.bytes, SCRIPT_BYTES), seen?.epoch ?? '', seen?.mark ?? '']
  const [epoch, first, last, mark, closing, lease, largest, ...rest] = await runScript(link, until, 'sseRead', keys, 0, args)
  const state = stateOf([epoch!, first!, last!, mark!, closing!, lease!])
  const page = new Page(Math.max(after + 1, state.first), limit)
  for (let index = 0; index < rest.length; index += 3) {
    const field = rest[index + 1]!
    const single = field.startsWith('d')
    page.add({ id: rest[index]!, field: single ? 'd' : field, event: single ? field.slice(1) : '', data: rest[index + 2]! })
  }
  // An answer without entries is one of a log that has none: what it says of its end was lost with them.
  while (rest.length && !page.full && page.next <= state.last) {
    const count = Math.min(MAX_RANGE_ENTRIES, page.messagesLeft, Math.ceil(RANGE_FACTOR * page.bytesLeft / Math.max(1, Number(largest))))
    const entries = await range(link, until, keys, page.next, count, epoch!)
    if (!entries || !page.continues(entries[0])) break
    for (const entry of entries) page.add(entry)
  }
  return { ...state, entries: page.entries }
}

/** Entries from this offset on. `undefined` when they may be of another epoch: that is looked at behind them. */
async function range(link: RedisLink, until: number, { log, meta }: ChannelKeys, from: number, count: number, epoch: string): Promise<RedisEntry[] | undefined> {
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

/** What is cut out of entries: the messages from an offset on, up to the limit. */
class Page {
  readonly entries: LogEntry[] = []
  bytesLeft: number
  messagesLeft: number

  constructor(public next: number, limit: LogPageLimit) {
    this.bytesLeft = limit.bytes
    this.messagesLeft = limit.messages
  }

  get full(): boolean {
    return this.messagesLeft <= 0 || this.bytesLeft <= 0
  }

  /** Whether nothing is missing before this entry: what was kept when the state was read may be trimmed by now. */
  continues(entry: RedisEntry | undefined): boolean {
    return entry !== undefined && beginOf(entry) <= this.next
  }

  add(entry: RedisEntry): void {
    const { id, field, event, data } = entry
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

/** As the scripts give it. */
export function stateOf([epoch, first, last, mark, closing, lease]: string[]): LogState {
  const state: LogState = { epoch: epoch!, first: Number(first), last: Number(last), mark, closing: closing ? JSON.parse(closing) : null }
  if (!lease) return state
  const [leftMs, lostInMs, stopping, unreadMs] = lease.split(' ').map(Number) as [number, number, number, number]
  return { ...state, lease: { leftMs, lostInMs, stopping: stopping === 1, unreadMs } }
}
