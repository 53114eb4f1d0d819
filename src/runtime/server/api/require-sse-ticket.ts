import type { H3Event } from 'h3'
import { SSEError } from '../../shared/errors'
import type { SSEChannel } from '../channel/types'
import { ticketSecrets } from '../entry/runtime-context'
import { toHttpError } from '../http/response'
import { takeTicket } from '../tickets/take-ticket'
import type { SSETicket } from '../tickets/ticket'

/** What each request's ticket said. The ticket itself is not kept. */
const verified = new WeakMap<H3Event, Promise<SSETicket>>()

/**
 * What the ticket in the request's url says (`?ticket=`, made by `createSSETicket`). It is verified, and taken out of the url, when first
 * asked for. An open stream goes on when its ticket expires (`maxLifetimeMs` and `revalidate` end streams); whoever comes back
 * needs one that has not.
 *
 * Name the `channel` that the ticket must be for, or use the one it says: any ticket of the application passes otherwise.
 *
 * @throws an HTTP error with a code: 401 `TICKET_MISSING`, `TICKET_EXPIRED`, `TICKET_INVALID`, 403 `TICKET_OTHER_CHANNEL`; 500 `TICKET_SECRET_MISSING`.
 * None of them has a word of the ticket.
 */
export async function requireSSETicket<Claims = Record<string, unknown>>(event: H3Event, ...wanted: [] | [channel: string | SSEChannel]): Promise<SSETicket<Claims>> {
  if (!verified.has(event)) verified.set(event, verify(event))
  try {
    const ticket = await verified.get(event)!
    // By the number of arguments: an accidental `undefined` must not stand for any channel.
    if (wanted.length && nameOf(wanted[0]) !== ticket.channel) throw new SSEError('TICKET_OTHER_CHANNEL', 'The ticket is for another channel.', { statusCode: 403 })
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
