import type { H3Event } from 'h3'
import { queryOf, rewriteUrl } from '#sse/h3'

const PARAMETER = 'ticket'

/**
 * Removes the ticket (`?ticket=`) from the URL of a request, and returns it. Later readers of the URL do not find it there: hooks, an
 * access log, or the framework when it logs an error or answers with one.
 */
export function takeTicket(event: H3Event): unknown {
  const { ticket } = queryOf(event)
  if (ticket === undefined) return undefined
  rewriteUrl(event, withoutTicket)
  return ticket
}

/** Keeps the rest of the URL byte for byte. The name may be written with escapes. */
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
