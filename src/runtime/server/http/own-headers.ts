import { invalidOption } from '../../shared/errors'

/** Value of the option `headers`, with names in lower case. */
export type OwnHeaders = Readonly<Record<string, string>>

const NAME = /^[\w!#$%&'*+.^`|~-]+$/
/** Visible characters, spaces and tabs (RFC 9110, section 5.5). */
const VALUE = /^[\t\x20-\x7E\x80-\xFF]*$/
/** Headers that define the stream, or belong to one client or one connection (RFC 9110, section 7.6.1). */
const REFUSED = new Set(['content-type', 'content-length', 'set-cookie', 'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/** Merges `headers` into `base`. Throws `INVALID_OPTION` for an invalid name or value, and for headers that the option may not set. */
export function resolveHeaders(headers: Record<string, string> | undefined, base: OwnHeaders): OwnHeaders {
  if (!headers) return base
  const resolved: Record<string, string> = { ...base }
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase()
    if (!NAME.test(name)) throw invalidOption('headers', 'an object with valid header names', given)
    if (REFUSED.has(name)) throw invalidOption('headers', 'without headers that define the stream, or belong to one client or one connection', given)
    if (typeof value !== 'string' || !VALUE.test(value)) throw invalidOption(`headers.${given}`, 'a valid header value', value)
    if (name === 'cache-control' && !/(?:^|[\s,])no-(?:cache|store)(?:[\s,=]|$)/i.test(value)) throw invalidOption(`headers.${given}`, 'a value with `no-cache` or `no-store`', value)
    resolved[name] = name === 'vary' && resolved.vary ? `${resolved.vary}, ${value}` : value
  }
  return resolved
}
