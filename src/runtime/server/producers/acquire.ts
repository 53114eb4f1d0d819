import { SSEError } from '../../shared/errors'
import type { LeaseAnswer } from '../drivers/types'
import { retryDelayMs } from '../lib/delays'
import { pause } from '../lib/tick'
import type { Lease } from './lease'

/** When a lease is asked for again that another process may have without knowing it. */
export const ACQUIRE_RETRY = { firstMs: 20, maxMs: 200 }

export interface AcquireInit {
  /** Forgets a log that has ended, and begins a new epoch. */
  restart: boolean
  /** Epoch of the log that begins with this. */
  epoch?: string
  /** Aborted when the process begins to shut down. */
  closing: AbortSignal
}

/**
 * Asks for a lease until it is clear who has it. Where another process has asked for it, and perhaps never received the answer, this
 * waits until that process has used the lease, or the lease has run out. Rejects when the driver cannot be reached.
 */
export async function acquireLease(lease: Lease, { restart, epoch, closing }: AcquireInit): Promise<LeaseAnswer> {
  for (let asked = 0; ; asked++) {
    const answer = await acquireOnce(lease, restart, epoch)
    if (answer.held || !answer.state?.lease?.tentative) return answer
    await pause(retryDelayMs(ACQUIRE_RETRY, asked), closing)
    if (closing.aborted) throw shuttingDown('The server is shutting down: no producer can start.')
  }
}

/** Asks twice, as an answer may be lost; and gives back what may have been given unheard. */
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
