import type { SSEQuery } from './types'

/** Whether the URL is of another origin than the page. `false` where there is no page. */
export function crossesOrigin(url: string): boolean {
  const { location } = globalThis
  return !!location && new URL(url, location.href).origin !== location.origin
}

/**
 * URL with parameters appended. Existing ones stay byte for byte, since a signature may depend on them; one of the same name is replaced.
 * Relative URLs work too, which `URL` does not accept without a base.
 */
export function addQuery(url: string, query: SSEQuery): string {
  const [, path, search, hash = ''] = /^([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(url)!
  const added = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) added.set(name, String(value))
  }
  const text = added.toString()
  if (!text) return url
  const kept = search?.split('&').filter(part => ![...new URLSearchParams(part).keys()].some(name => added.has(name))).join('&')
  return `${path}?${kept ? `${kept}&` : ''}${text}${hash}`
}
