import type { H3Event } from 'h3'
import { queryOf, rewriteUrl } from '#sse/h3'

const PARAMETER = 'ticket'

/**
 * The ticket of a request (`?ticket=`), taken out of its url: whoever looks at that from now on (hooks, an access log, the
 * framework when it logs an error or answers with one) does not find it there.
 */
export function takeTicket(event: H3Event): unknown {
  const { ticket } = queryOf(event)
  if (ticket === undefined) return undefined
  rewriteUrl(event, withoutTicket)
  return ticket
}

/** Leaves the rest as it is, to the byte. A name may be written with escapes. */
function withoutTicket(url: string): string {
  const [path, query] = splitOnce(url)
  if (query === undefined) return url
  const rest = query.split('&').filter(part => !new URLSearchParams(part).has(PARAMETER)).join('&')
  return rest ? `${path}?${rest}` : path
}

function splitOnce(url: string): [path: string, query?: string] {
  const at = url.indexOf('?')
  return at < 0 ? [url] : [url.slice(0, at), url.slice(at + 1)]
}
