import { createEpoch } from '../../../shared/position'
import { channelEnded, leaseLost } from '../errors'
import { askLease, holds } from './memory-lease'
import type { StoredEntry } from './memory-log'
import { MemoryLog } from './memory-log'
import type { SSERetention } from '../../options'
import { platform } from '../../lib/platform/platform'
import type { LeaseRequest, LogNotice, PackedAppend } from '../types'
import type { LeasingDriver, PresenceDriver } from '../capabilities'

/** Interval at which expired messages are removed from unused channels, in milliseconds. */
const SWEEP_MS = 10_000
/**
 * Maximum number of logs without a message. Each costs 700 bytes, and a client creates one by requesting a name. Beyond it, the oldest one
 * without a reader is deleted.
 */
const MAX_EMPTY = 100_000
/** How many of those are examined for each new one, so that every creation costs about the same. */
const EXAMINE_EMPTY = 2

/**
 * Creates the memory driver: logs of this process only, which end with it. A client that reconnects to another process receives a gap with
 * reason `epoch`.
 *
 * A log is deleted when it has no subscriber and was not used for its lifetime (`life-times.ts`): a reader that reconnects later finds a
 * new epoch. A log without a message is also deleted when `maxEmpty` newer ones exist.
 */
export function createMemoryDriver(defaults: SSERetention, maxEmpty = MAX_EMPTY): LeasingDriver & PresenceDriver {
  const logs = new Map<string, MemoryLog>()
  /** Names of logs without a message, oldest first. Some may have a message by now. */
  const empty = new Set<string>()
  const listeners = new Map<string, Set<(notice: LogNotice) => void>>()
  const sweeper = platform.recurring(sweep, SWEEP_MS)
  let closed = false

  function open(channel: string, epoch = createEpoch, retention = defaults): MemoryLog {
    let log = logs.get(channel)
    if (!log) {
      // Whoever still publishes while the process goes must not start it again.
      if (!closed) sweeper.start()
      log = new MemoryLog(epoch(), retention)
      logs.set(channel, log)
      empty.add(channel)
      forgetEmpty()
    }
    log.touchedAt = performance.now()
    log.trimByAge()
    return log
  }

  /** The log for a lease request. Only an `acquire` begins one. */
  function openForLease(channel: string, request: LeaseRequest): MemoryLog | undefined {
    if (request.type === 'acquire') {
      const { token, anew, epoch } = request
      const fresh = epoch === undefined ? createEpoch : () => epoch
      const log = open(channel, fresh)
      if (!anew || !log.closing || holds(log.lease, token)) return log
      logs.delete(channel)
      return open(channel, fresh, log.retention)
    }
    if (request.type === 'release' || request.type === 'stop' || !logs.has(channel)) return logs.get(channel)
    return open(channel)
  }

  function notify(channel: string, notice: LogNotice): void {
    for (const listener of listeners.get(channel) ?? []) listener(notice)
  }

  function forget(channel: string): boolean {
    empty.delete(channel)
    return logs.delete(channel)
  }

  function forgetEmpty(): void {
    for (let examined = 0; examined < EXAMINE_EMPTY && empty.size > maxEmpty; examined++) {
      const oldest = empty.values().next().value!
      empty.delete(oldest)
      const log = logs.get(oldest)
      if (!log || log.size > 0 || log.isInUse) continue
      if (listeners.has(oldest)) empty.add(oldest)
      else logs.delete(oldest)
    }
  }

  function sweep(): void {
    const now = performance.now()
    for (const [channel, log] of logs) {
      log.trimByAge()
      if (!listeners.has(channel) && log.forgottenAt < now) forget(channel)
      else if (log.size === 0) empty.add(channel)
    }
    if (logs.size === 0) sweeper.stop()
  }

  return {
    name: 'memory',
    takesBytes: true,

    async append(channel, entries: PackedAppend[], retention, writer) {
      const log = open(channel)
      if (writer?.leased) assertHeld(channel, log, writer.id)
      if (log.closing) throw channelEnded(channel)
      empty.delete(channel)
      const added: StoredEntry[] = []
      const offsets = entries.map(entry => log.append(entry, added))
      if (listeners.has(channel)) for (const entry of added) entry.shared = true
      log.retain(retention)
      if (added.length) notify(channel, { type: 'append', epoch: log.epoch, entries: added })
      return { epoch: log.epoch, offsets }
    },

    async finish(channel, closing, retention, token) {
      const log = open(channel)
      if (token !== undefined) assertHeld(channel, log, token)
      if (log.closing) return false
      log.retain(retention)
      log.ended = closing
      log.lease = undefined
      notify(channel, { type: 'changed' })
      return true
    },

    async lease(channel, request, retention) {
      const log = openForLease(channel, request)
      if (!log) return { held: false }
      const { held, changed } = askLease(log, request)
      if (request.type === 'acquire' && held) log.retain(retention)
      if (changed) notify(channel, { type: 'changed' })
      return { held, state: log.state }
    },

    async presence(channel, request, retention) {
      const log = open(channel)
      const added: StoredEntry[] = []
      const answer = log.presence.step(request, json => log.append({ data: json }, added))
      if (added.length) {
        empty.delete(channel)
        if (listeners.has(channel)) for (const entry of added) entry.shared = true
        log.retain(retention)
        notify(channel, { type: 'append', epoch: log.epoch, entries: added })
      }
      return { epoch: log.epoch, last: log.last, ...answer }
    },

    async read(channel, after, limit) {
      const log = open(channel)
      return { ...log.state, entries: log.page(after, limit) }
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
      sweeper.stop()
      logs.clear()
      empty.clear()
      listeners.clear()
    },
  }
}

function assertHeld(channel: string, { ended, lease }: MemoryLog, token: string): void {
  if (!ended && !holds(lease, token)) throw leaseLost(channel)
}
