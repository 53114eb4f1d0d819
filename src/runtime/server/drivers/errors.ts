import type { SSEPublicError } from '../../shared/errors'
import { SSEError } from '../../shared/errors'
import { publicChannelName } from '../../shared/secret-epoch'
import type { LogOnLost } from './types'

/** What every driver tells a producer that no longer holds its lease. */
export function leaseLost(channel: string): SSEError {
  return new SSEError('LEASE_LOST', `The producer of channel \`${publicChannelName(channel)}\` has lost its lease: it was away for too long, and nothing more of it is published.`, { statusCode: 409 })
}

/** How a log counts as ended when its producer is lost. Where it may be restarted, a client that comes back may do just that. */
export const PRODUCER_LOST: Record<LogOnLost, SSEPublicError> = { fail: producerLost(false), restart: producerLost(true) }

// Without quotation marks and backslashes: the scripts of Redis contain it as a quoted string.
function producerLost(retry: boolean): SSEPublicError {
  return { code: 'PRODUCER_LOST', statusCode: 503, message: 'The producer stopped before the stream was complete.', retry }
}

/** What every driver says of an append to a log that has ended. */
export function channelEnded(channel: string): SSEError {
  return new SSEError('CHANNEL_ENDED', `Expected channel \`${publicChannelName(channel)}\` to be open, but it has ended. Use another name, or delete() it first.`, { statusCode: 409 })
}
