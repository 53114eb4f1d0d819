import { SSEError } from '../../shared/errors'

/** What every driver says of an append to a log that has ended. */
export function channelEnded(channel: string): SSEError {
  return new SSEError('CHANNEL_ENDED', `[nuxt-sse] Expected channel \`${channel}\` to be open, but it has ended. Use another name, or delete() it first.`, { statusCode: 409 })
}
