import { PRODUCER_LOST } from '../errors'
import type { LeaseRequest, LogClosing, LogLease, LogOnLost } from '../types'

/** Lease of a log in this process. Times are `performance.now()` times. */
export interface MemoryLease {
  token: string
  until: number
  leaseMs: number
  onLost: LogOnLost
  stopping: boolean
  /** Newest offset when a tentative lease was taken; `undefined` once its holder has used it. */
  tentativeAt?: number
}

/** Part of a log that lease requests read and change. */
export interface LeasedLog {
  lease: MemoryLease | undefined
  readAt: number
  readonly ended: LogClosing | null
  readonly closing: LogClosing | null
  readonly last: number
}

/** Handles a request for the lease of a log. `changed`: subscribers must be notified. */
export function askLease(log: LeasedLog, request: LeaseRequest): { held: boolean, changed: boolean } {
  switch (request.type) {
    case 'acquire': return acquire(log, request)
    case 'renew': return { held: renew(log, request), changed: false }
    case 'release': return { held: false, changed: release(log, request.token) }
    case 'stop': return { held: false, changed: stop(log) }
    case 'look':
      if (request.reading) log.readAt = performance.now()
      return { held: false, changed: false }
  }
}

export function holds(lease: MemoryLease | undefined, token: string): boolean {
  return lease?.token === token && performance.now() <= lease.until
}

/** Closing of a log that was not ended: failed, once its producer is lost. */
export function lostClosing(lease: MemoryLease | undefined): LogClosing | null {
  return lease && performance.now() > lostAt(lease) ? { error: PRODUCER_LOST[lease.onLost] } : null
}

export function describeLease(lease: MemoryLease, last: number, readAt: number): LogLease {
  const now = performance.now()
  return { leftMs: lease.until - now, lostInMs: lostAt(lease) - now, stopping: lease.stopping, unreadMs: now - readAt, ...lease.tentativeAt === last && { tentative: true } }
}

function acquire(log: LeasedLog, { token, leaseMs, onLost, tentative }: Extract<LeaseRequest, { type: 'acquire' }>): { held: boolean, changed: boolean } {
  if (holds(log.lease, token)) return { held: true, changed: false }
  if (log.ended || !isFree(log.lease)) return { held: false, changed: false }
  log.lease = { token, until: performance.now() + leaseMs, leaseMs, onLost, stopping: false, tentativeAt: tentative ? log.last : undefined }
  log.readAt = performance.now()
  return { held: true, changed: true }
}

function renew({ lease }: LeasedLog, { token, leaseMs }: Extract<LeaseRequest, { type: 'renew' }>): boolean {
  const held = holds(lease, token)
  if (held) Object.assign(lease!, { until: performance.now() + leaseMs, tentativeAt: undefined })
  return held
}

function release({ lease }: LeasedLog, token: string): boolean {
  const held = holds(lease, token)
  if (held) lease!.until = performance.now() - 1
  return held
}

function stop({ lease, closing }: LeasedLog): boolean {
  if (!lease || closing) return false
  lease.stopping = true
  lease.onLost = 'fail'
  return true
}

/** Whether the lease can be taken: no producer holds it, and the log has not failed with a lost one. */
function isFree(lease: MemoryLease | undefined): boolean {
  return !lease || (performance.now() > lease.until && lease.onLost === 'restart')
}

function lostAt({ until, leaseMs, onLost }: MemoryLease): number {
  return onLost === 'restart' ? until + leaseMs : until
}
