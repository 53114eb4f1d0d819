import { createEpoch } from '../../shared/position'
import { channelEnded } from './channel-ended'
import { leaseLost } from './lease-lost'
import type { MemoryLease } from './memory-lease'
import { describeLease, holds, isFree, lostClosing, takeLease } from './memory-lease'
import { packData } from './packed-data'
import type { SSERetention } from '../options'
import { REQUESTS_OWN_IO } from '../request-io'
import { unref } from '../tick'
import type { LeaseAnswer, LeaseRequest, LogAppend, LogClosing, LogDriver, LogEntry, LogNotice, LogPage, LogPageLimit, LogState } from './types'

/** How often what is older than its retention is removed from channels that nobody touches. */
const SWEEP_MS = 10_000
/** Removed entries wait at the front of the array until there are so many, and half of it: a shift each costs O(n). */
const COMPACT_AT = 256

/** Logs that nobody has written to: a stranger makes them by asking for names, 700 bytes each. Beyond, the oldest that nobody reads is forgotten. */
const MAX_UNWRITTEN = 100_000
/** Of those so many are looked at when another is made, so that none costs more than the others. */
const LOOK_AT_UNWRITTEN = 2

interface StoredEntry extends LogEntry {
  at: number
  key?: string
}

interface Log {
  epoch: string
  /** `entries[head]` is the oldest one kept. */
  entries: (StoredEntry | undefined)[]
  head: number
  last: number
  keys: Map<string, number>
  closing: LogClosing | null
  maxAgeMs: number
  touchedAt: number
  lease?: MemoryLease
  /** When somebody last said that it is read. */
  readAt: number
}

/**
 * The memory driver: logs of this process only. They end with it, and a client that comes back to another
 * process is told so by a gap with reason `epoch`.
 *
 * A log is forgotten when nobody subscribes to it and nothing has touched it for twice its `maxAgeMs`: a reader that
 * returns later than that finds a new epoch. So does one of a log that has no message yet, where `maxUnwritten` such logs were asked for since.
 */
export function createMemoryDriver(defaults: SSERetention, maxUnwritten = MAX_UNWRITTEN): LogDriver {
  const logs = new Map<string, Log>()
  /** Names of logs that have no message yet, the oldest first, and perhaps of some that have ended without one. */
  const unwritten = new Set<string>()
  const listeners = new Map<string, Set<(notice: LogNotice) => void>>()
  let sweeper: ReturnType<typeof setInterval> | undefined
  let sweptAt = 0
  let closed = false

  function open(channel: string, retention?: SSERetention, epoch = createEpoch): Log {
    let log = logs.get(channel)
    if (!log) {
      if (REQUESTS_OWN_IO) sweepNow()
      log = { epoch: epoch(), entries: [], head: 0, last: 0, keys: new Map(), closing: null, maxAgeMs: defaults.maxAgeMs, touchedAt: 0, readAt: performance.now() }
      logs.set(channel, log)
      unwritten.add(channel)
      forgetUnwritten()
      // Whoever still publishes while the process goes must not start it again.
      if (!closed && !REQUESTS_OWN_IO) sweeper ??= unref(setInterval(sweep, SWEEP_MS))
    }
    if (retention) log.maxAgeMs = retention.maxAgeMs
    log.touchedAt = performance.now()
    trimByAge(log)
    return log
  }

  function notify(channel: string, notice: LogNotice): void {
    for (const listener of listeners.get(channel) ?? []) listener(notice)
  }

  function forget(channel: string): boolean {
    unwritten.delete(channel)
    return logs.delete(channel)
  }

  function forgetUnwritten(): void {
    for (let looked = 0; looked < LOOK_AT_UNWRITTEN && unwritten.size > maxUnwritten; looked++) {
      const oldest = unwritten.values().next().value!
      unwritten.delete(oldest)
      const log = logs.get(oldest)
      if (!log || log.last > 0 || log.closing || log.lease) continue
      if (listeners.has(oldest)) unwritten.add(oldest)
      else logs.delete(oldest)
    }
  }

  /** Where no timer outlives its request, a new log is the occasion. */
  function sweepNow(): void {
    if (sweptAt + SWEEP_MS > performance.now()) return
    sweptAt = performance.now()
    sweep()
  }

  function sweep(): void {
    const now = performance.now()
    for (const [channel, log] of logs) {
      trimByAge(log)
      if (!listeners.has(channel) && !(log.lease && log.lease.until >= now) && log.touchedAt + 2 * log.maxAgeMs < now) forget(channel)
    }
    if (logs.size === 0) {
      clearInterval(sweeper)
      sweeper = undefined
    }
  }

  function acquire(channel: string, request: Extract<LeaseRequest, { type: 'acquire' }>, retention: SSERetention): LeaseAnswer {
    const fresh = request.epoch === undefined ? createEpoch : () => request.epoch!
    let log = open(channel, retention, fresh)
    if (holds(log.lease, request.token)) return { held: true, state: stateOf(log) }
    const anew = request.anew && closingOf(log) !== null
    if (anew) {
      logs.delete(channel)
      log = open(channel, retention, fresh)
    }
    if (log.closing || !isFree(log.lease)) return { held: false, state: stateOf(log) }
    log.lease = takeLease(request)
    log.readAt = performance.now()
    notify(channel, { type: 'changed' })
    return { held: true, state: stateOf(log) }
  }

  function renew(channel: string, request: Extract<LeaseRequest, { type: 'renew' }>, retention: SSERetention): LeaseAnswer {
    const log = logs.has(channel) ? open(channel, retention) : undefined
    const { lease } = log ?? {}
    const held = holds(lease, request.token)
    if (held) lease!.until = performance.now() + request.leaseMs
    return { held, state: log && stateOf(log) }
  }

  function release(channel: string, token: string): LeaseAnswer {
    const log = logs.get(channel)
    if (log && holds(log.lease, token)) {
      log.lease!.until = performance.now() - 1
      notify(channel, { type: 'changed' })
    }
    return { held: false, state: log && stateOf(log) }
  }

  function stop(channel: string): LeaseAnswer {
    const log = logs.get(channel)
    if (log?.lease && !closingOf(log)) {
      log.lease.stopping = true
      log.lease.onLost = 'fail'
      notify(channel, { type: 'changed' })
    }
    return { held: false, state: log && stateOf(log) }
  }

  function look(channel: string, reading = false): LeaseAnswer {
    const log = logs.has(channel) ? open(channel) : undefined
    if (log && reading) log.readAt = performance.now()
    return { held: false, state: log && stateOf(log) }
  }

  return {
    name: 'memory',

    async append(channel, entries, retention, writer) {
      const log = open(channel, retention)
      if (writer?.leased) assertHeld(channel, log, writer.id)
      if (closingOf(log)) throw channelEnded(channel)
      if (log.last === 0) unwritten.delete(channel)
      const added: LogEntry[] = []
      const offsets = entries.map((entry) => {
        const known = entry.key === undefined ? undefined : log.keys.get(entry.key)
        return known ?? store(log, entry, added)
      })
      trim(log, kept(log) - retention.maxMessages)
      if (added.length) notify(channel, { type: 'append', epoch: log.epoch, entries: added })
      return { epoch: log.epoch, offsets }
    },

    async finish(channel, closing, retention, token) {
      const log = open(channel, retention)
      if (token !== undefined && !log.closing) assertHeld(channel, log, token)
      if (closingOf(log)) return false
      log.closing = closing
      log.lease = undefined
      notify(channel, { type: 'changed' })
      return true
    },

    async lease(channel, request, retention) {
      switch (request.type) {
        case 'acquire': return acquire(channel, request, retention)
        case 'renew': return renew(channel, request, retention)
        case 'release': return release(channel, request.token)
        case 'stop': return stop(channel)
        case 'look': return look(channel, request.reading)
      }
    },

    async state(channel) {
      return stateOf(open(channel))
    },

    async read(channel, after, limit): Promise<LogPage> {
      const log = open(channel)
      return { ...stateOf(log), entries: page(log, after, limit) }
    },

    async subscribe(channel, listener) {
      let set = listeners.get(channel)
      if (!set) listeners.set(channel, set = new Set())
      set.add(listener)
      return () => {
        set.delete(listener)
        if (set.size === 0 && listeners.get(channel) === set) listeners.delete(channel)
      }
    },

    async remove(channel) {
      if (!forget(channel)) return
      notify(channel, { type: 'changed' })
    },

    async close() {
      closed = true
      clearInterval(sweeper)
      sweeper = undefined
      logs.clear()
      unwritten.clear()
      listeners.clear()
    },
  }
}

function store(log: Log, { event, data, key }: LogAppend, added: LogEntry[]): number {
  const entry: StoredEntry = { offset: ++log.last, event, data: packData(data), key, at: performance.now() }
  log.entries.push(entry)
  if (key !== undefined) log.keys.set(key, entry.offset)
  added.push(entry)
  return entry.offset
}

function kept(log: Log): number {
  return log.entries.length - log.head
}

function stateOf(log: Log): LogState {
  const closing = closingOf(log)
  return {
    epoch: log.epoch,
    first: log.last - kept(log) + 1,
    last: log.last,
    closing,
    ...log.lease && !closing && { lease: describeLease(log.lease, log.readAt) },
  }
}

function closingOf({ closing, lease }: Log): LogClosing | null {
  return closing ?? lostClosing(lease)
}

function assertHeld(channel: string, { closing, lease }: Log, token: string): void {
  if (!closing && !holds(lease, token)) throw leaseLost(channel)
}

function trim(log: Log, count: number): void {
  for (; count > 0; count--) {
    const { key } = log.entries[log.head]!
    if (key !== undefined) log.keys.delete(key)
    log.entries[log.head++] = undefined
  }
  if (log.head >= COMPACT_AT && log.head * 2 >= log.entries.length) {
    log.entries.splice(0, log.head)
    log.head = 0
  }
}

function trimByAge(log: Log): void {
  const oldest = performance.now() - log.maxAgeMs
  let count = 0
  while (log.head + count < log.entries.length && log.entries[log.head + count]!.at < oldest) count++
  trim(log, count)
}

function page(log: Log, after: number, limit: LogPageLimit): LogEntry[] {
  const entries: LogEntry[] = []
  const skipped = Math.max(0, after - (log.last - kept(log)))
  let bytes = 0
  for (let index = log.head + skipped; index < log.entries.length && entries.length < limit.messages && bytes < limit.bytes; index++) {
    const entry = log.entries[index]!
    entries.push(entry)
    bytes += entry.data.length
  }
  return entries
}
