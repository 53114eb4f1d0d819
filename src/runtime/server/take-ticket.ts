import type { H3Event } from 'h3'
import { readRawRequest } from './response'

const PARAMETER = 'ticket'

/**
 * The ticket of a request (`?ticket=`), taken out of its url: whoever looks at that from now on (hooks, an access log, the
 * framework when it logs an error or answers with one) does not find it there.
 */
export function takeTicket(event: H3Event): unknown {
  const { ticket } = readRawRequest(event).query
  if (ticket === undefined) return undefined
  const request = event.node.req as { url?: string, originalUrl?: string }
  const layer = event as { _path?: string }
  // Three of them: what came, what h3 made of it, and what is left of that for this route.
  request.url = request.url && withoutTicket(request.url)
  request.originalUrl = request.originalUrl && withoutTicket(request.originalUrl)
  layer._path = layer._path && withoutTicket(layer._path)
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
