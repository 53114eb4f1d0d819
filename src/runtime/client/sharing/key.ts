import type { ResolvedClientOptions } from '../options'
import { prepareRequest } from '../request'

/**
 * What is the same for all that may share a connection: whatever decides what arrives, with functions asked. Between tabs it is a
 * hash, as it may hold a token, and names things that developer tools show.
 */
export async function keyOf(url: string, options: ResolvedClientOptions, hashed: boolean, signal: AbortSignal): Promise<string> {
  let parts: unknown[]
  try {
    const { url: full, init: { method, credentials, headers, body } } = await prepareRequest(url, { ...options, position: undefined }, () => undefined, signal)
    // A form or a stream cannot be compared.
    parts = [hashed, full, method, credentials, options.transports, [...headers], typeof body === 'object' ? Math.random() : body]
  }
  catch {
    // What throws is asked again by a connection of its own, which reports it.
    parts = [Math.random()]
  }
  const key = JSON.stringify(parts)
  return hashed ? `nuxt-sse:${btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)))))}` : key
}
