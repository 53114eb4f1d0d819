import type { SSEPublicError } from '../../shared/errors'
import { SSEError } from '../../shared/errors'
import { publicChannelName } from '../../shared/secret-epoch'
import type { LogOnLost } from './types'

/** Error of every driver for a producer that no longer holds its lease. */
export function leaseLost(channel: string): SSEError {
  return new SSEError('LEASE_LOST', `The producer of channel \`${publicChannelName(channel)}\` has lost its lease, because it did not renew the lease in time. It can no longer publish.`, { statusCode: 409 })
}

/**
 * Closing of a log whose producer is lost, by `onLost`. With `restart`, retrying may help: a client that reconnects may restart the
 * producer.
 */
export const PRODUCER_LOST: Record<LogOnLost, SSEPublicError> = { fail: producerLost(false), restart: producerLost(true) }

// No quotation marks or backslashes in the text: the Redis scripts contain it as a quoted string.
function producerLost(retry: boolean): SSEPublicError {
  return { code: 'PRODUCER_LOST', statusCode: 503, message: 'The producer stopped before the stream was complete.', retry }
}

/** Error of every driver for an append to a log that has ended. */
export function channelEnded(channel: string): SSEError {
  return new SSEError('CHANNEL_ENDED', `Expected channel \`${publicChannelName(channel)}\` to be open, but it has ended. Use another name, or call \`delete()\` first.`, { statusCode: 409 })
}
