import type { H3Event } from 'h3'
import { SSEError } from '../../shared/errors'
import type { SSEChannel } from '../channel/types'
import { ticketSecrets } from '../entry/runtime-context'
import { toHttpError } from '../http/response'
import { takeTicket } from '../tickets/take-ticket'
import type { SSETicket } from '../tickets/ticket'

/** Verified contents of each request's ticket. The ticket itself is not kept. */
const verified = new WeakMap<H3Event, Promise<SSETicket>>()

/**
 * Contents of the ticket in the request's URL (`?ticket=`, made by `createSSETicket`). The first call verifies the ticket and removes it
 * from the URL. An open stream continues when its ticket expires; `maxLifetimeMs` and `revalidate` end streams. A reconnect needs a ticket
 * that has not expired.
 *
 * Name the `channel` that must be among those of the ticket, or use the channels that the ticket names. Without either, any ticket of the
 * application is accepted.
 *
 * @throws an HTTP error with a code: 401 `TICKET_MISSING`, `TICKET_EXPIRED`, `TICKET_INVALID`, 403 `TICKET_OTHER_CHANNEL`; 500
 * `TICKET_SECRET_MISSING`. No error contains any part of the ticket.
 */
export async function requireSSETicket<Claims = Record<string, unknown>>(event: H3Event, ...wanted: [] | [channel: string | SSEChannel]): Promise<SSETicket<Claims>> {
  if (!verified.has(event)) verified.set(event, verify(event))
  try {
    const ticket = await verified.get(event)!
    // Decided by the number of arguments: an accidental `undefined` must not mean any channel.
    if (wanted.length && !(ticket.channels ?? [ticket.channel]).includes(nameOf(wanted[0])!)) throw new SSEError('TICKET_OTHER_CHANNEL', 'The ticket is for another channel.', { statusCode: 403 })
    return ticket as SSETicket<Claims>
  }
  catch (error) {
    throw toHttpError(event, error)
  }
}

function nameOf(channel: string | SSEChannel | undefined): string | undefined {
  return typeof channel === 'object' ? channel.name : channel
}

async function verify(event: H3Event): Promise<SSETicket> {
  const ticket = takeTicket(event)
  if (ticket === undefined || ticket === '') throw new SSEError('TICKET_MISSING', 'This stream requires a ticket, in the query parameter `ticket`.', { statusCode: 401 })
  const { verifyTicket } = await import('../tickets/ticket')
  return verifyTicket(ticket, ticketSecrets())
}
