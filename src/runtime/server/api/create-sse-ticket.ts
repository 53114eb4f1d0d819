import type { SSEChannel } from '../channel/types'
import { ticketSecrets } from '../entry/runtime-context'
import type { SSETicketOptions } from '../tickets/ticket'
import { useSSEChannel } from './use-sse-channel'

/**
 * A ticket for the url of a stream (`?ticket=`), for clients that can send neither a cookie nor a header: a plain
 * `EventSource` to another origin. It opens one channel, for {@link SSETicketOptions.expiresInMs} (60,000), and is checked by
 * `requireSSETicket` whenever a stream is opened with it. It may be used more than once until then.
 *
 * Give it only to whom you have checked. Signed, not encrypted: whoever has it can read the channel's name and `claims`.
 *
 * Signed with `NUXT_SSE_TICKET_SECRET` (at least 32 characters; several separated by commas: the first signs, all verify).
 * @throws `TICKET_SECRET_MISSING` in production without a secret, `INVALID_CHANNEL`, `INVALID_OPTION`
 */
export async function createSSETicket(channel: string | SSEChannel, options: SSETicketOptions = {}): Promise<string> {
  const { name } = typeof channel === 'string' ? useSSEChannel(channel) : channel
  // With the first ticket, and not with the server.
  const { signTicket } = await import('../tickets/ticket')
  return signTicket(name, options, ticketSecrets())
}
