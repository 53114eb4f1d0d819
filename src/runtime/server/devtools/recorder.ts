import type { H3Event } from 'h3'
import { createParser } from 'eventsource-parser'
import { formatPosition } from '../../shared/position'
import { CONTROL_EVENT } from '../../shared/protocol'
import { pathWithoutSecret, publicChannelName, withoutSecret } from '../../shared/secret-epoch'
import type { Connection } from '../connection/connection'
import type { SSEContext } from '../context/context'
import { unpackData } from '../drivers/packed-data'
import { hasLeases, readState } from '../drivers/capabilities'
import type { LogState } from '../drivers/types'
import type { SSEHooks } from '../insight/hooks'
import type { ResponseSink } from '../http/sink'
import { readStats } from '../context/stats'
import { BoundedMap } from '../lib/bounded-map'
import { afterTick } from '../lib/tick'
import { readPresences } from './presences'
import type { DevtoolsChannel, DevtoolsConnection, DevtoolsLogItem, DevtoolsSnapshot } from './snapshot'

const MAX_LOG_ITEMS = 200
const MAX_CLOSED = 20
/** Maximum channels shown. */
const MAX_CHANNELS = 100
/** Maximum open connections shown, the newest. */
const MAX_CONNECTIONS = 200
/** Maximum messages of one channel that a tab receives when it opens, or in one snapshot. */
const MAX_NEW_MESSAGES = 50
const MAX_NEW_BYTES = 100_000_000
/** Maximum messages whose publish time in this process is kept. */
const MAX_TIMES = 500
const MAX_TEXT = 2_000

interface Seen extends Omit<DevtoolsConnection, 'messages' | 'bytes' | 'waiting'> {
  connection: Connection
}

/** Progress of one tab: the last items it received. */
export interface DevtoolsCursor {
  log: number
  channels: Map<string, { epoch: string, last: number }>
}

export function startCursor(): DevtoolsCursor {
  return { log: 0, channels: new Map() }
}

/**
 * Data of the tab for one development server, from hooks and from the bytes that connections write. Channels are read from their driver
 * when a tab requests a snapshot. Every buffer is bounded.
 */
export class Recorder {
  readonly #open = new Map<H3Event, Seen>()
  readonly #closed: DevtoolsConnection[] = []
  readonly #channels = new BoundedMap<string, true>({ limit: MAX_CHANNELS })
  readonly #publishedAt = new BoundedMap<string, number>({ limit: MAX_TIMES })
  readonly #log: DevtoolsLogItem[] = []
  /** Number of items logged since the start. */
  #logged = 0
  #connections = 0

  /** `context` is called each time: the application's plugins may still change it. */
  constructor(private readonly context: () => SSEContext) {}

  readonly hooks: SSEHooks = {
    'sse:open': ({ event, channel, channels, position, resumed }) => {
      const seen = this.#open.get(event)
      if (seen) Object.assign(seen, { channel, position: seen.position ?? position })
      for (const name of channels ? Object.values(channels) : channel ? [channel] : []) this.#channels.set(name, true)
      this.#write('open', pathWithoutSecret(event.path), { text: channel === undefined ? '' : `${channel}${resumed ? `, resumed at ${position}` : ''}` })
    },
    'sse:close': ({ event, path, reason, code, durationMs, messages, bytes }) => {
      const seen = this.#open.get(event)
      this.#open.delete(event)
      if (seen) {
        this.#closed.unshift({ ...describe(seen), messages, bytes, waiting: false, closedAt: Date.now(), reason, code })
        this.#closed.splice(MAX_CLOSED)
      }
      this.#write('close', path, { text: `${reason}${code ? ` ${code}` : ''}, ${messages} messages in ${(durationMs / 1_000).toFixed(1)} s` })
    },
    'sse:publish': ({ channel, id }) => {
      this.#channels.set(channel, true)
      this.#publishedAt.set(`${id} ${channel}`, Date.now())
    },
    'sse:gap': ({ channel, gap: { reason, missed, position }, transport }) => {
      this.#write('gap', channel, { text: `${reason}, ${missed ?? 'unknown how many'} missed, continues at ${position} (${transport})` })
    },
    'sse:error': ({ error, code, where, event, channel }) => {
      this.#write('error', channel ?? (event && pathWithoutSecret(event.path)) ?? where, { text: `${code}: ${error instanceof Error ? error.message : String(error)}` })
    },
  }

  /** Passes a connection's writes to its sink, and parses them. */
  readonly tap = (connection: Connection, sink: ResponseSink, event: H3Event): ResponseSink => {
    const seen: Seen = { id: ++this.#connections, method: event.method, path: pathWithoutSecret(event.path), openedAt: Date.now(), connection }
    const decoder = new TextDecoder()
    const parser = createParser({ onEvent: ({ id, event: name, data }) => {
      if (id !== undefined) seen.position = withoutSecret(id)
      // The messages of a channel are in its log.
      if (name === CONTROL_EVENT) this.#write('control', seen.path, { id: id && withoutSecret(id), text: withoutSecret(data) })
      else if (!seen.channel) this.#write('message', seen.path, { id, event: name, text: data })
    } })
    return {
      watch: events => sink.watch(events),
      open: (headers) => {
        const opened = sink.open(headers)
        if (opened) this.#open.set(event, seen)
        return opened
      },
      write: (chunk) => {
        // One turn later: then its channel is known, and a slow parser does not delay the write.
        afterTick(() => parser.feed(typeof chunk === 'string' ? chunk : decoder.decode(chunk)))
        return sink.write(chunk)
      },
      end: () => sink.end(),
      destroy: () => sink.destroy(),
      afterTick: task => sink.afterTick(task),
      callable: task => sink.callable(task),
      get bufferedBytes() {
        return sink.bufferedBytes
      },
    }
  }

  /** The open connection with this ID. */
  find(id: number): Connection | undefined {
    return [...this.#open.values()].find(seen => seen.id === id)?.connection
  }

  /** All current data, and the log items that `cursor` has not received. */
  async snapshot(cursor: DevtoolsCursor): Promise<DevtoolsSnapshot> {
    const context = this.context()
    const log = this.#log.slice(Math.max(0, this.#log.length - (this.#logged - cursor.log)))
    const next: DevtoolsCursor = { log: this.#logged, channels: new Map() }
    // The most recently used channels without readers first, then the channels being read, up to the limit.
    const names = [...new Set([...context.hub.channels.keys(), ...this.#channels.keys()].reverse())].slice(0, MAX_CHANNELS)
    const channels = (await Promise.all(names.map(name => this.#channel(context, name, cursor, next, log)))).filter(channel => channel !== undefined)
    const presences = await readPresences(context)
    // Updated last: if the driver is unreachable, the next snapshot covers what this one missed.
    Object.assign(cursor, next)
    const keys = new Map([...context.disconnects.entries()].map(([key, { connection }]) => [connection, key]))
    const connections = [...this.#open.values()].slice(-MAX_CONNECTIONS).map(seen => ({ ...describe(seen), key: keys.get(seen.connection), messages: seen.connection.outbox.messages, bytes: seen.connection.outbox.bytes, waiting: !seen.connection.hasRoom }))
    return { at: Date.now(), stats: readStats(context), connections, closed: [...this.#closed], channels, presences, log }
  }

  /** Only looks: a channel that is gone must not be created again. */
  async #channel({ driver, hub, options: { retention } }: SSEContext, name: string, told: DevtoolsCursor, next: DevtoolsCursor, log: DevtoolsLogItem[]): Promise<DevtoolsChannel | undefined> {
    const state = hasLeases(driver) ? (await driver.lease(name, { type: 'look' }, retention)).state : await readState(driver, name)
    // Without leases, a channel without messages counts as gone: it is not read again.
    if (!state || (!hasLeases(driver) && state.last === 0)) this.#channels.delete(name)
    if (!state) return
    const { epoch, first, last, closing, lease } = state
    const where = publicChannelName(name)
    const shownEpoch = where === name ? epoch : withoutSecret(epoch)
    const had = told.channels.get(name)
    const from = Math.max(had?.epoch === epoch ? had.last : 0, last - MAX_NEW_MESSAGES)
    next.channels.set(name, { epoch, last })
    if (last > from) {
      const page = await driver.read(name, from, { messages: MAX_NEW_MESSAGES, bytes: MAX_NEW_BYTES })
      if (page.epoch === epoch) {
        for (const { offset, event, data } of page.entries.filter(({ offset }) => offset <= last)) {
          const id = formatPosition(shownEpoch, offset)
          log.push({ at: this.#publishedAt.get(`${id} ${where}`) ?? Date.now(), kind: 'message', where, id, event, text: shorten(unpackData(data)) })
        }
      }
    }
    return { name: where, readers: hub.channels.get(name)?.readers.size ?? 0, epoch: shownEpoch, lastOffset: last, messages: last - first + 1, state: stateOf(closing, lease) }
  }

  #write(kind: DevtoolsLogItem['kind'], where: string, { id, event, text }: { id?: string, event?: string, text: string }): void {
    this.#logged++
    this.#log.push({ at: Date.now(), kind, where, id, event, text: shorten(text) })
    if (this.#log.length > 2 * MAX_LOG_ITEMS) this.#log.splice(0, MAX_LOG_ITEMS)
  }
}

function describe({ connection: _, ...seen }: Seen): Omit<Seen, 'connection'> {
  return seen
}

function stateOf(closing: LogState['closing'], lease: LogState['lease']): DevtoolsChannel['state'] {
  if (closing) return closing.error ? 'failed' : 'ended'
  return lease && lease.leftMs > 0 ? 'running' : 'open'
}

function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}
