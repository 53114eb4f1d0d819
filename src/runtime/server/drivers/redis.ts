import type { Redis, RedisOptions } from 'ioredis'
import { createEpoch } from '../../shared/position'
import { channelEnded } from './channel-ended'
import { SSEError, invalidOption } from '../../shared/errors'
import type { SSERetention } from '../options'
import { afterTick } from '../tick'
import type { LogAppend, LogDriver, LogEntry, LogNotice } from './types'
import { createRedisLink, unavailable } from './redis-link'
import { APPEND, FINISH, READ, REMOVE } from './redis-scripts'

const DEFAULT_KEY_PREFIX = 'sse:'
const DEFAULT_TIMEOUT_MS = 2_000
/** Messages of one script call: while it runs, Redis does nothing else. */
const MAX_BATCH_MESSAGES = 500
/** Messages that wait for Redis in this process; beyond, publishing is refused at once. */
const MAX_QUEUED_MESSAGES = 10_000
/** How long until an append whose answer was lost is asked about. */
const RETRY_MS = 20
/** Notices are at most once: now and then readers look at the log themselves. */
const RECHECK_MS = 5_000
/** Channels whose last answer is remembered; the one published to longest ago is forgotten first. */
const MAX_ANSWERED_CHANNELS = 10_000
/** Larger appends reach subscribers as a wake-up only, and they read the log. */
const MAX_NOTICE_LENGTH = 16_384

export interface RedisDriverOptions {
  /** Before every key and channel. Default `sse:`. Without braces, which mark the part that a cluster hashes. */
  keyPrefix?: string
  /** How long an operation may take until it rejects with `DRIVER_UNAVAILABLE`, in milliseconds. Default 2000. */
  timeoutMs?: number
  /** Makes a client that connects as `options` say. Called twice: for commands, and for subscriptions. */
  createClient: (options: RedisOptions) => Redis | Promise<Redis>
  /** Told once when Redis goes away, and once when it is back. Default: the console. */
  report?: (message: string, cause?: unknown) => void
}

interface Append {
  entries: LogAppend[]
  retention: SSERetention
  resolve(result: { epoch: string, offsets: number[] }): void
  reject(error: unknown): void
}

/** The scripts as commands of a client, which sends their text only when Redis does not know it. */
type Scripted = Redis & Record<'sseAppend' | 'sseFinish' | 'sseRead' | 'sseRemove', (...args: (string | number)[]) => Promise<string[]>>

/**
 * The redis driver: a channel is a stream and two small hashes, in one slot. Every append, with its offsets, its trim, its
 * expiry and its notice, is one script; appends to a channel in one tick are one call.
 */
export function createRedisDriver(options: RedisDriverOptions, defaults: SSERetention): LogDriver {
  const { keyPrefix = DEFAULT_KEY_PREFIX, timeoutMs = DEFAULT_TIMEOUT_MS, createClient, report = reportToConsole } = options
  if (/[{}]/.test(keyPrefix)) throw invalidOption('redis.keyPrefix', 'a text without braces', keyPrefix)
  const link = createRedisLink({ timeoutMs, createClient, report })
  const queues = new Map<string, Append[]>()
  const writer = createEpoch()
  /** The last answer for each channel that this process publishes to: what Redis must not fall behind. */
  const answered = new Map<string, { epoch: string, offset: number }>()
  let sequence = 0
  let queued = 0
  /** What to add to this process's clock to get the server's; unknown before the first answer. */
  let clockOffsetMs: number | undefined

  const keysOf = (channel: string): [string, string, string] => {
    const tagged = `${keyPrefix}{${channel.replace(/[%{}]/g, encodeURIComponent)}}`
    return [`${tagged}:log`, `${tagged}:meta`, `${tagged}:keys`]
  }
  const liveOf = (channel: string) => `${keyPrefix}{${channel.replace(/[%{}]/g, encodeURIComponent)}}:live`

  function run(command: keyof Scripted & `sse${string}`, channel: string, args: (string | number)[]): Promise<string[]> {
    return link.run(client => withScripts(client)[command](...keysOf(channel), ...args))
  }

  /** Batches of a channel go one after the other: what is asked while one is under way is the next. */
  async function drain(channel: string, queue: Append[]): Promise<void> {
    while (queue.length) {
      const batch: Append[] = []
      let messages = 0
      while (queue.length && (batch.length === 0 || messages + queue[0]!.entries.length <= MAX_BATCH_MESSAGES)) {
        messages += queue[0]!.entries.length
        batch.push(queue.shift()!)
      }
      queued -= messages
      try {
        const { epoch, offsets } = await appendOnce(channel, batch.flatMap(({ entries }) => entries), batch.at(-1)!.retention)
        for (const { entries, resolve } of batch) resolve({ epoch, offsets: offsets.splice(0, entries.length) })
      }
      catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    queues.delete(channel)
  }

  /**
   * One append, and only one: when its answer is lost, it is asked again under the same number, and Redis says what became of
   * it. When the time is up it has a deadline in Redis too, so that what was rejected here does not happen there later.
   */
  async function appendOnce(channel: string, entries: LogAppend[], { maxMessages, maxAgeMs }: SSERetention): Promise<{ epoch: string, offsets: number[] }> {
    const number = ++sequence
    const known = answered.get(channel)
    const until = Date.now() + timeoutMs
    const text = JSON.stringify(entries.map(({ event, data }) => event === undefined ? [data] : [data, event]))
    const messages = entries.flatMap(({ event = '', data, key = '' }) => [event, data, key])
    while (true) {
      const deadline = clockOffsetMs === undefined ? 0 : until + clockOffsetMs
      try {
        const [now, epoch, ...offsets] = await run('sseAppend', channel, [createEpoch(), maxMessages, maxAgeMs, liveOf(channel), 'PUBLISH', writer, number, deadline, text.length > MAX_NOTICE_LENGTH ? '' : text, known?.epoch ?? '', known?.offset ?? 0, ...messages])
        clockOffsetMs = Number(now) - Date.now()
        remember(channel, epoch!, Math.max(...offsets.map(Number)))
        return { epoch: epoch!, offsets: offsets.map(Number) }
      }
      catch (error) {
        if (isReply(error, 'CHANNEL_ENDED')) throw channelEnded(channel)
        // An error of ours says that nothing was sent, and that it is no use to try.
        if (error instanceof SSEError || isReply(error) || Date.now() >= until) throw unavailable(error)
        await new Promise(resolve => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  function remember(channel: string, epoch: string, offset: number): void {
    answered.delete(channel)
    answered.set(channel, { epoch, offset })
    if (answered.size > MAX_ANSWERED_CHANNELS) answered.delete(answered.keys().next().value!)
  }

  return {
    name: 'redis',
    recheckMs: RECHECK_MS,

    append(channel, entries, retention) {
      if (queued + entries.length > MAX_QUEUED_MESSAGES) return Promise.reject(unavailable(new Error(`${queued} messages wait for Redis already.`)))
      queued += entries.length
      return new Promise((resolve, reject) => {
        let queue = queues.get(channel)
        if (!queue) {
          queues.set(channel, queue = [])
          const fresh = queue
          afterTick(() => void drain(channel, fresh))
        }
        queue.push({ entries, retention, resolve, reject })
      })
    },

    async finish(channel, closing, { maxAgeMs }) {
      const ended = await run('sseFinish', channel, [createEpoch(), maxAgeMs, liveOf(channel), 'PUBLISH', JSON.stringify(closing)]).catch(rethrow)
      return Number(ended) === 1
    },

    async state(channel) {
      const { entries: _, ...state } = await this.read(channel, 0, { messages: 0, bytes: 0 })
      return state
    },

    async read(channel, after, { messages, bytes }, seenIn = '') {
      const [epoch, first, last, closing, ...rest] = await run('sseRead', channel, [createEpoch(), defaults.maxAgeMs, after, messages, bytes, seenIn]).catch(rethrow)
      const entries: LogEntry[] = []
      for (let index = 0; index < rest.length; index += 3) {
        entries.push({ offset: Number(rest[index]), event: rest[index + 1] || undefined, data: rest[index + 2]! })
      }
      return { epoch: epoch!, first: Number(first), last: Number(last), closing: closing ? JSON.parse(closing) : null, entries }
    },

    subscribe(channel, listener) {
      return link.subscribe(liveOf(channel), message => listener(parseNotice(message)))
    },

    async remove(channel) {
      await run('sseRemove', channel, [liveOf(channel), 'PUBLISH']).catch(rethrow)
    },

    close() {
      return link.close()
    },
  }
}

function withScripts(client: Redis): Scripted {
  if (!('sseAppend' in client)) {
    for (const [name, lua] of Object.entries({ sseAppend: APPEND, sseFinish: FINISH, sseRead: READ, sseRemove: REMOVE })) {
      client.defineCommand(name, { lua, numberOfKeys: 3 })
    }
  }
  return client as Scripted
}

/** `<epoch> <first offset> <messages>`; whatever is shorter says only that there is something to read. */
function parseNotice(message: string | undefined): LogNotice {
  const [, epoch, first, text] = /^(\S+) (\d+) (.+)$/s.exec(message ?? '') ?? []
  if (!text) return { type: 'changed' }
  const entries = (JSON.parse(text) as [string, string?][]).map(([data, event], index) => ({ offset: Number(first) + index, event, data }))
  return { type: 'append', epoch: epoch!, entries }
}

function isReply(error: unknown, code = ''): boolean {
  return error instanceof Error && error.name === 'ReplyError' && error.message.includes(code)
}

function rethrow(error: unknown): never {
  throw unavailable(error)
}

function reportToConsole(message: string, cause?: unknown): void {
  console.error(`[nuxt-sse] [redis] ${message}`, ...cause === undefined ? [] : [cause])
}
