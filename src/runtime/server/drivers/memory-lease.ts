import { PRODUCER_LOST } from './lease-lost'
import type { LeaseRequest, LogClosing, LogLease, LogOnLost } from './types'

/** The lease of a log in this process. In `performance.now()` time. */
export interface MemoryLease {
  token: string
  until: number
  leaseMs: number
  onLost: LogOnLost
  stopping: boolean
}

export function holds(lease: MemoryLease | undefined, token: string): boolean {
  return lease?.token === token && performance.now() <= lease.until
}

/** What a log without an ending counts as, now. */
export function lostClosing(lease: MemoryLease | undefined): LogClosing | null {
  return lease && performance.now() > lostAt(lease) ? { error: PRODUCER_LOST[lease.onLost] } : null
}

/** Nobody has it, and the log has not failed with the one who had it. */
export function isFree(lease: MemoryLease | undefined): boolean {
  return !lease || (performance.now() > lease.until && lease.onLost === 'restart')
}

export function takeLease({ token, leaseMs, onLost }: Extract<LeaseRequest, { type: 'acquire' | 'renew' }>): MemoryLease {
  return { token, until: performance.now() + leaseMs, leaseMs, onLost, stopping: false }
}

export function describeLease(lease: MemoryLease, readAt: number): LogLease {
  const now = performance.now()
  return { leftMs: lease.until - now, lostInMs: lostAt(lease) - now, stopping: lease.stopping, unreadMs: now - readAt }
}

function lostAt({ until, leaseMs, onLost }: MemoryLease): number {
  return onLost === 'restart' ? until + leaseMs : until
}
