import { invalidOption } from '../../shared/errors'
import type { SSEChannel } from '../channel/types'
import { ticketSecrets } from '../entry/runtime-context'
import type { SSETicketOptions } from '../tickets/ticket'
import { useSSEChannel } from './use-sse-channel'

/**
 * Signed ticket for the URL of a stream (`?ticket=`), for clients that can send neither a cookie nor a header, such as a plain
 * `EventSource` to another origin. It opens one channel, or each of a list, for {@link SSETicketOptions.expiresInMs} (60,000). `requireSSETicket` checks it
 * each time a stream opens. It can be used more than once until it expires.
 *
 * Check the client before you issue a ticket. The ticket is signed, not encrypted: its holder can read the channel's name and `claims`.
 *
 * Signed with `NUXT_SSE_TICKET_SECRET` (at least 32 characters; several separated by commas: the first signs, all verify).
 * @throws `TICKET_SECRET_MISSING` in production without a secret, `INVALID_CHANNEL`, `INVALID_OPTION`
 */
export async function createSSETicket(channel: string | SSEChannel | readonly (string | SSEChannel)[], options: SSETicketOptions = {}): Promise<string> {
  const names = Array.isArray(channel) ? (channel as readonly (string | SSEChannel)[]).map(nameOf) : nameOf(channel as string | SSEChannel)
  if (!names.length) throw invalidOption('channel', 'a channel, or a list of at least one', channel)
  // Loaded with the first ticket, not at server start.
  const { signTicket } = await import('../tickets/ticket')
  return signTicket(names, options, ticketSecrets())
}

/** The name of a handle, or a name that is checked. */
function nameOf(channel: string | SSEChannel): string {
  return (typeof channel === 'object' && channel !== null ? channel : useSSEChannel(channel)).name
}
