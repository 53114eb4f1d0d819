import { invalidOption } from '../../shared/errors'

/** The option `headers`: names in lower case. */
export type OwnHeaders = Readonly<Record<string, string>>

const NAME = /^[\w!#$%&'*+.^`|~-]+$/
/** Visible characters, spaces and tabs (RFC 9110, section 5.5). */
const VALUE = /^[\t\x20-\x7E\x80-\xFF]*$/
/** What a stream is made of, what belongs to one client, and what belongs to one connection (RFC 9110, section 7.6.1). */
const REFUSED = new Set(['content-type', 'content-length', 'set-cookie', 'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/** Lays `headers` over `base`. Throws `INVALID_OPTION` for a name or a value that no header can have, and for headers that are not the option's to set. */
export function resolveHeaders(headers: Record<string, string> | undefined, base: OwnHeaders): OwnHeaders {
  if (!headers) return base
  const resolved: Record<string, string> = { ...base }
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase()
    if (!NAME.test(name)) throw invalidOption('headers', 'an object of names of headers', given)
    if (REFUSED.has(name)) throw invalidOption('headers', 'without headers that belong to the stream, to one client, or to one connection', given)
    if (typeof value !== 'string' || !VALUE.test(value)) throw invalidOption(`headers.${given}`, 'text that a header can have', value)
    if (name === 'cache-control' && !/(?:^|[\s,])no-(?:cache|store)(?:[\s,=]|$)/i.test(value)) throw invalidOption(`headers.${given}`, 'a value with `no-cache` or `no-store`', value)
    resolved[name] = name === 'vary' && resolved.vary ? `${resolved.vary}, ${value}` : value
  }
  return resolved
}
