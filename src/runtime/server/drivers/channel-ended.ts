import { SSEError } from '../../shared/errors'
import { publicChannelName } from '../../shared/secret-epoch'

/** What every driver says of an append to a log that has ended. */
export function channelEnded(channel: string): SSEError {
  return new SSEError('CHANNEL_ENDED', `Expected channel \`${publicChannelName(channel)}\` to be open, but it has ended. Use another name, or delete() it first.`, { statusCode: 409 })
}
