import type { SSEPublicError } from '../../shared/errors'
import { SSEError } from '../../shared/errors'
import type { LogOnLost } from './types'

/** What every driver says to a producer that is not the one any more. */
export function leaseLost(channel: string): SSEError {
  return new SSEError('LEASE_LOST', `[nuxt-sse] The producer of channel \`${channel}\` has lost its lease: it was away for too long, and nothing more of it is published.`, { statusCode: 409 })
}

/** How a log counts as ended whose producer is lost. Where it may be restarted, who comes back may be the one who does. */
export const PRODUCER_LOST: Record<LogOnLost, SSEPublicError> = { fail: producerLost(false), restart: producerLost(true) }

// Without quotation marks and backslashes: a script of Redis has it between quotation marks.
function producerLost(retry: boolean): SSEPublicError {
  return { code: 'PRODUCER_LOST', statusCode: 503, message: 'Whoever produced this has gone before it was complete.', retry }
}
