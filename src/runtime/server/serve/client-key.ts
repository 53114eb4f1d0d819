import type { H3Event } from 'h3'
import { addressOf, headerOf } from '#sse/h3'
import { invalidOption } from '../../shared/errors'
import type { ResolvedHandlerOptions } from '../options'
import { kindOf } from '../lib/source'

/**
 * Result of `clientKey`, if there is one. Throws `INVALID_OPTION` for a value that identifies no client. A promise, for example, would
 * count as another client at each request, and would give all clients the same name.
 */
export function ownKeyOf(event: H3Event, { clientKey }: Pick<ResolvedHandlerOptions, 'clientKey'>): string | undefined {
  const key: unknown = clientKey?.(event)
  if (key === undefined || key === null) return undefined
  if (typeof key === 'string' || typeof key === 'number') return String(key)
  throw invalidOption('clientKey', 'a synchronous function that returns a string, a number or nothing', kindOf(key))
}

/** Address that the outermost of our own `proxies` saw. Without proxies, or without their header, the address of the socket. */
export function clientAddress(event: H3Event, proxies: number | false): string | undefined {
  const forwarded = proxies ? headerOf(event, 'x-forwarded-for')?.split(',').at(-proxies)?.trim() : undefined
  // A request that the application makes to itself has an empty address, which identifies no client.
  const address = forwarded || addressOf(event)
  return address ? holderOf(address) : undefined
}

/** Prefixes with which IPv6 embeds an IPv4 address: in a socket (RFC 4291, 2.5.5.2), and after a translator (RFC 6052). */
const EMBEDS_IPV4 = /^(?:0:0:0:0:0:ffff|64:ff9b:0:0:0:0):/

/**
 * Part of an address that identifies its holder. IPv4: the address without the port that some proxies add. IPv6: the first 64 bits, since
 * the holder chooses the others (RFC 4291, 2.5.1), and could pose as any number of clients.
 */
export function holderOf(address: string): string {
  const [, bracketed, ported] = /^(?:\[(.*)\](?::\d+)?|([^:]*):\d+)$/.exec(address) ?? []
  const [plain] = (bracketed ?? ported ?? address).split('%')
  if (!plain || !/^[\da-f]*:[\da-f:.]*$/i.test(plain)) return plain ?? address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1]
  if (mapped) return mapped
  const [head = '', tail] = plain.split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const groups = tail === undefined ? before : [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after]
  const full = groups.join(':')
  return EMBEDS_IPV4.test(full) ? full : `${groups.slice(0, 4).join(':')}::/64`
}

/** Groups without leading zeros, which only some proxies write. */
function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':').map(group => group.replace(/^0+(?=.)/, '').toLowerCase())
}
