/** Properties of a request to the tab that identify its sender. */
export interface AskedBy {
  method: string
  host?: string
  origin?: string
  /** `Sec-Fetch-Site`: browsers send it to localhost and over TLS. */
  fetchSite?: string
  contentType?: string
}

/**
 * Reason to refuse a request, or `undefined`. The development server is reachable from every page in the same browser. No such page may
 * read the application's messages, or publish.
 *
 * - The host must be a name that an attacker cannot point here: localhost, an address, or one that the application allows. So a foreign
 * domain that resolves to this machine (DNS rebinding) gets nothing.
 * - A browser's request must come from this very origin, or be typed by its user.
 * - A request that changes something must be JSON, which a foreign page cannot send without a preflight.
 */
export function reasonToRefuse({ method, host, origin, fetchSite, contentType }: AskedBy, allowedHosts: string[] | true): string | undefined {
  if (!isOwnHost(host, allowedHosts)) return `The host ${host} is not allowed: add it to \`vite.server.allowedHosts\`.`
  if (origin !== undefined && hostOf(origin) !== host?.toLowerCase()) return 'Pages of other origins are not allowed.'
  const changes = method !== 'GET' && method !== 'HEAD'
  if (fetchSite !== undefined && fetchSite !== 'same-origin' && (changes || fetchSite !== 'none')) return 'Pages of other origins are not allowed.'
  if (changes && !/^application\/json\s*(?:;|$)/i.test(contentType ?? '')) return 'Expected the content type `application/json`.'
  return undefined
}

function isOwnHost(host: string | undefined, allowed: string[] | true): boolean {
  if (allowed === true) return true
  const url = `http://${host}`
  if (!host || !URL.canParse(url)) return false
  const { hostname } = new URL(url)
  const isAddress = hostname.startsWith('[') || /^\d+\.\d+\.\d+\.\d+$/.test(hostname)
  if (isAddress || hostname === 'localhost' || hostname.endsWith('.localhost')) return true
  // As in Vite: with a leading dot, all subdomains.
  return allowed.some(name => hostname === name.replace(/^\./, '') || (name.startsWith('.') && hostname.endsWith(name)))
}

/** `null` (a sandboxed frame, a file) is no origin that can be allowed. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
