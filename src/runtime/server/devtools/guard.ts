/** What a request to the tab says about who sends it. */
export interface AskedBy {
  method: string
  host?: string
  origin?: string
  /** `Sec-Fetch-Site`: what browsers say to localhost and over TLS. */
  fetchSite?: string
  contentType?: string
}

/**
 * Why a request is refused, or `undefined`. The development server is reachable from every page that the same browser
 * shows, and none of them may read what the application sends, or publish.
 *
 * - The host must be a name that no stranger can point here: localhost, an address, or one that the application allows. So a
 *   foreign domain that was made to resolve to this machine (DNS rebinding) gets nothing.
 * - What a browser sends must come from this very origin, or be typed by its user.
 * - What changes something must be JSON, which a foreign page cannot send without asking first.
 */
export function refusalOf({ method, host, origin, fetchSite, contentType }: AskedBy, allowedHosts: string[] | true): string | undefined {
  if (!isOwnHost(host, allowedHosts)) return `The host ${host} is not allowed: add it to \`vite.server.allowedHosts\`.`
  if (origin !== undefined && hostOf(origin) !== host?.toLowerCase()) return 'Pages of other origins are not allowed.'
  const changes = method !== 'GET' && method !== 'HEAD'
  if (fetchSite !== undefined && fetchSite !== 'same-origin' && (changes || fetchSite !== 'none')) return 'Pages of other origins are not allowed.'
  if (changes && !/^application\/json\s*(?:;|$)/i.test(contentType ?? '')) return 'Expected JSON.'
  return undefined
}

function isOwnHost(host: string | undefined, allowed: string[] | true): boolean {
  if (allowed === true) return true
  const url = `http://${host}`
  if (!host || !URL.canParse(url)) return false
  const { hostname } = new URL(url)
  const isAddress = hostname.startsWith('[') || /^\d+\.\d+\.\d+\.\d+$/.test(hostname)
  if (isAddress || hostname === 'localhost' || hostname.endsWith('.localhost')) return true
  // As Vite has it: with a dot in front, all below.
  return allowed.some(name => hostname === name.replace(/^\./, '') || (name.startsWith('.') && hostname.endsWith(name)))
}

/** `null` (a sandboxed frame, a file) is nobody's. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
