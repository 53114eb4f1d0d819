import { SSEError } from '../../shared/errors'
import type { LeaseAnswer } from '../drivers/types'
import { retryDelayMs } from '../lib/delays'
import { pause } from '../lib/tick'
import type { Lease } from './lease'

/** Delays between attempts to acquire a lease that another process may hold without knowing it. */
export const ACQUIRE_RETRY = { firstMs: 20, maxMs: 200 }

export interface AcquireInit {
  /** Deletes a log that has ended, and begins a new epoch. */
  restart: boolean
  /** Epoch of a log that begins with this run. */
  epoch?: string
  /** Aborted when the process begins to shut down. */
  closing: AbortSignal
}

/**
 * Acquires a lease, or determines that another process holds it. Another process may have requested it without receiving the answer. In
 * that case, waits until that process uses the lease, or the lease expires. Rejects when the driver cannot be reached, and with
 * `SHUTTING_DOWN`.
 */
export async function acquireLease(lease: Lease, { restart, epoch, closing }: AcquireInit): Promise<LeaseAnswer> {
  for (let asked = 0; ; asked++) {
    const answer = await acquireOnce(lease, restart, epoch)
    if (answer.held || !answer.state?.lease?.tentative) return answer
    await pause(retryDelayMs(ACQUIRE_RETRY, asked), closing)
    if (closing.aborted) throw shuttingDown('The server is shutting down: no producer can start.')
  }
}

/** Tries twice, as an answer may be lost. After two failures, releases the lease: it may have been granted. */
async function acquireOnce(lease: Lease, restart: boolean, epoch: string | undefined): Promise<LeaseAnswer> {
  try {
    return await lease.acquire(restart, epoch).catch(() => lease.acquire(restart, epoch))
  }
  catch (error) {
    lease.release().catch(() => {})
    throw error
  }
}

export function shuttingDown(message: string): SSEError {
  return new SSEError('SHUTTING_DOWN', message, { statusCode: 503 })
}
