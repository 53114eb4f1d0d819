import type { H3Event } from 'h3'
import { addressOf, headerOf } from '#sse/h3'
import { invalidOption } from '../../shared/errors'
import type { ResolvedHandlerOptions } from '../options'
import { kindOf } from '../lib/source'

/**
 * What `clientKey` says, if there is one. Throws `INVALID_OPTION` for what names nobody: a promise, say, would be another client at each
 * request where it is counted, and the same for everybody where it becomes a name.
 */
export function ownKeyOf(event: H3Event, { clientKey }: Pick<ResolvedHandlerOptions, 'clientKey'>): string | undefined {
  const key: unknown = clientKey?.(event)
  if (key === undefined || key === null) return undefined
  if (typeof key === 'string' || typeof key === 'number') return String(key)
  throw invalidOption('clientKey', 'a function that returns a string or nothing, at once', kindOf(key))
}

/** The address that the outermost of our own `proxies` saw; of the socket without any. */
export function clientAddress(event: H3Event, proxies: number | false): string | undefined {
  const forwarded = proxies ? headerOf(event, 'x-forwarded-for')?.split(',').at(-proxies)?.trim() : undefined
  // A request that the application makes to itself has an empty one, which is nobody's.
  const address = forwarded || addressOf(event)
  return address ? holderOf(address) : undefined
}

/** Prefixes under which IPv6 writes an address of IPv4: in a socket (RFC 4291, 2.5.5.2), and behind a translator (RFC 6052). */
const EMBEDS_IPV4 = /^(?:0:0:0:0:0:ffff|64:ff9b:0:0:0:0):/

/**
 * Whoever has this address: itself, without the port that some proxies add; of IPv6 its first 64 bits, since the others are its
 * holder's to choose (RFC 4291, 2.5.1), and would be as many clients as they like.
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

/** Without leading zeros, which some write and others do not. */
function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':').map(group => group.replace(/^0+(?=.)/, '').toLowerCase())
}
