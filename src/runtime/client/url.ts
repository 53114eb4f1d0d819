import type { SSEQuery } from './types'

/** Whether a page asks another origin. Without a page there are none. */
export function crossesOrigin(url: string): boolean {
  const { location } = globalThis
  return !!location && new URL(url, location.href).origin !== location.origin
}

/**
 * The url with parameters added after those it has, which stay as they were written: a signature may depend on every byte. One of the same name is
 * replaced. Works for relative urls, which `URL` does not take without a base.
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
