import type { SSEQuery } from './types'

/** Whether a page asks another origin. Without a page there are none. */
export function crossesOrigin(url: string): boolean {
  const { location } = globalThis
  return !!location && new URL(url, location.href).origin !== location.origin
}

/** The url with parameters added to those it has. Works for relative urls, which `URL` does not take without a base. */
export function addQuery(url: string, query: SSEQuery): string {
  const [, path, search = '', hash = ''] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(url)!
  const parameters = new URLSearchParams(search)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) parameters.set(name, String(value))
  }
  const text = parameters.toString()
  return path + (text && `?${text}`) + hash
}
