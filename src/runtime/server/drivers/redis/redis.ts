import { invalidOption } from '../../../shared/errors'
import { createEpoch } from '../../../shared/position'
import type { SSERetention } from '../../options'
import { ReadGate } from '../../lib/read-gate'
import { leaseLost } from '../errors'
import type { LeasingDriver, PresenceDriver } from '../capabilities'
import { STATE_ONLY } from '../capabilities'
import { RedisAppends } from './appends'
import type { CreateRedisClient } from './connection/client'
import { ServerClock, channelKeys, retentionArgs, retrying, runScript } from './commands'
import { isReply, unavailable } from './errors'
import { createRedisLink } from './connection/link'
import { DEFAULT_REDIS_OPTIONS } from './options'
import { RedisPresence } from './presence'
import { readRedisLog, stateOf } from './read'
import type { LogEntry, LogNotice, LogPage, LogPageLimit, LogSeen } from '../types'

/** Interval at which readers read the log without a notice, in milliseconds: pub/sub delivers at most once. */
const RECHECK_MS = 5_000
/**
 * Longest such interval while nothing changes, in milliseconds. Long intervals are safe: the subscriber's connection is probed all the
 * time, and readers are notified after it was down. They must stay below half of the shortest lifetime of a log (10 minutes, see
 * `life-times.ts`), or a log that is only read expires.
 */
const RECHECK_MAX_MS = 300_000
/** Fields of all kinds of `LeaseRequest`. */
interface LeaseFields { type: string, epoch?: string, token?: string, leaseMs?: number, onLost?: string, anew?: boolean, reading?: boolean, tentative?: boolean }

export interface RedisDriverOptions {
  /** Prefix of every key and channel. Default `sse:`. Braces are refused: they mark the part that a cluster hashes. */
  keyPrefix?: string
  /** Time until an operation rejects with `DRIVER_UNAVAILABLE`, in milliseconds. Default 2000. */
  timeoutMs?: number
  createClient: CreateRedisClient
  /** Called once when Redis becomes unreachable, and once when it is back. Default: logs to the console. */
  report?: (message: string, cause?: unknown) => void
}

/**
 * Creates the Redis driver. A channel is a stream and two small hashes, in one slot. Every append, with its offsets, trim, expiry and
 * notice, is one script; appends to a channel in one tick are one call.
 */
export function createRedisDriver(options: RedisDriverOptions, defaults: SSERetention): LeasingDriver & PresenceDriver {
  const { keyPrefix, timeoutMs, createClient, report = reportToConsole } = { ...DEFAULT_REDIS_OPTIONS, ...options }
  if (/[{}]/.test(keyPrefix)) throw invalidOption('redis.keyPrefix', 'a string without braces', keyPrefix)
  const link = createRedisLink({ timeoutMs, createClient, report, onReturn: () => void checkLastAppends() })
  const clock = new ServerClock(link)
  const keysOf = (channel: string, writer = '') => channelKeys(keyPrefix, channel, writer)
  const candidate = countedEpochs()
  const appends = new RedisAppends({ link, clock, timeoutMs, keysOf, candidate, onRefused: reason => link.refused(new Error(reason)) })
  const presence = new RedisPresence({ link, clock, timeoutMs, keysOf, candidate, run: (channel, args) => write('ssePresence', channel, args) })
  const gate = new ReadGate()
  let checks = 0

  /** Runs a script that writes before its deadline or not at all. Resolves with its answer, without the server's time that precedes it. */
  async function write(name: 'sseFinish' | 'sseLease' | 'ssePresence' | 'sseRemove', channel: string, args: (string | number)[]): Promise<string[]> {
    const until = performance.now() + timeoutMs
    const [now, ...answer] = await retrying(until, async () => runScript(link, until, name, keysOf(channel), await clock.at(until), args), clock).catch(error => giveUp(error, channel))
    clock.set(Number(now))
    return answer
  }

  async function read(channel: string, after: number, limit: LogPageLimit, seen?: LogSeen): Promise<LogPage> {
    const until = performance.now() + timeoutMs
    return retrying(until, () => readRedisLog({ link, until, keys: keysOf(channel), candidate: candidate(), maxAgeMs: defaults.maxAgeMs }, after, limit, seen)).catch(error => giveUp(error, channel))
  }

  function giveUp(error: unknown, channel: string): never {
    if (isReply(error, 'LEASE_LOST')) throw leaseLost(channel)
    link.gaveUp(error)
    throw unavailable(error)
  }

  /**
   * Checks every channel that this process has published to, after Redis was unreachable. Redis may have lost its last acknowledged writes;
   * a channel that was rolled back begins a new epoch. The check should come before another process publishes.
   */
  async function checkLastAppends(): Promise<void> {
    const run = ++checks
    // The hub reads, and so checks, the channels that have readers.
    const all = [...appends.lastAppends].filter(([channel]) => !link.isSubscribed(keysOf(channel).live))
    const checked = all.map(([channel, { epoch, offset, mark }]) => gate.run('unread', () => run === checks ? read(channel, offset, STATE_ONLY, { epoch, mark }) : undefined))
    // If Redis is unreachable again, this runs again when it is back. Besides, each append carries the position that it follows.
    await Promise.allSettled(checked)
  }

  return {
    name: 'redis',
    recheckMs: RECHECK_MS,
    recheckMaxMs: RECHECK_MAX_MS,
    timeoutMs,
    gate,
    read,

    append(channel, entries, retention, writer) {
      return appends.append(channel, entries, retention, writer)
    },

    async finish(channel, closing, retention, token = '') {
      const [ended] = await write('sseFinish', channel, [createEpoch(), ...retentionArgs(retention), JSON.stringify(closing), createEpoch(), token])
      return Number(ended) === 1
    },

    async lease(channel, request, retention) {
      const { type, epoch = createEpoch(), token = '', leaseMs = 0, onLost = '', anew, reading, tentative }: LeaseFields = request
      const [held, ...state] = await write('sseLease', channel, [epoch, ...retentionArgs(retention), type, token, leaseMs, onLost, anew || reading ? 1 : 0, tentative ? 1 : 0])
      return { held: held === '1', state: state.length ? stateOf(state) : undefined }
    },

    presence(channel, request, retention) {
      return presence.step(channel, request, retention)
    },

    subscribe(channel, listener) {
      return link.subscribe(keysOf(channel).live, message => listener(parseNotice(message)))
    },

    async remove(channel) {
      await write('sseRemove', channel, [createEpoch()])
    },

    close() {
      return link.close()
    },
  }
}

/**
 * Generates epochs for logs that begin with a read or an append. Each attempt gets another: no two logs, nor two lives of one, may share an
 * epoch, and an attempt whose answer was lost may have used its own. Epochs are counted up: a random one costs more than the rest of an
 * append. It costs 70 µs of a read when none was drawn for a while.
 */
function countedEpochs(): () => string {
  const first = createEpoch()
  let count = 0
  return () => first + (++count).toString(36)
}

/** Parses a notice of the script APPEND. A notice without messages only means that there is something to read. */
function parseNotice(notice: string | undefined): LogNotice {
  const [head, ...lines] = notice?.split('\n') ?? ['']
  if (lines.length === 0) return { type: 'changed' }
  const [epoch, first, follows, mark, fields] = head!.split(' ')
  const width = Number(fields)
  const entries: LogEntry[] = []
  if (!(width === 1 || width === 2) || !Number.isSafeInteger(Number(first))) return { type: 'changed' }
  for (let index = 0; index < lines.length; index += width) {
    entries.push({ offset: Number(first) + entries.length, mark, event: width > 1 ? lines[index + 1] || undefined : undefined, data: lines[index]! })
  }
  return { type: 'append', epoch: epoch!, follows, entries }
}

function reportToConsole(message: string, cause?: unknown): void {
  console.error(`[nuxt-sse] [redis] ${message}`, ...cause === undefined ? [] : [cause])
}
