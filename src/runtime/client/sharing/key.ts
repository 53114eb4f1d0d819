import type { ResolvedClientOptions } from '../options'
import { prepareRequest } from '../request'

/** Of what tabs say to each other. Those of an application before a deployment and behind it share if they speak alike, and else not. */
export const SHARING_VERSION = 2

/** The key of all that may share a connection: everything that decides what arrives, with functions called. `inBrowser`: with other tabs. */
export async function keyOf(url: string, options: ResolvedClientOptions, inBrowser: boolean, signal: AbortSignal): Promise<string> {
  const parts = await prepareRequest(url, { ...options, position: undefined }, () => ({ position: undefined }), signal).then(
    // A form, a stream or a function cannot be compared; a relative url only as `fetch` will see it.
    ({ url, init: { method, credentials, headers, body } }) => [new Request(url).url, method, credentials, options.transports, options.pauseWhenHidden, typeof options.parse === 'function' || options.fetch || options.schema || options.events ? Math.random() : options.parse, [...headers], typeof body === 'object' ? Math.random() : body],
  // What throws is asked again by a connection of its own, which reports it.
  ).catch(Math.random)
  return JSON.stringify([SHARING_VERSION, inBrowser, parts])
}

/** Web Locks are only in secure contexts, and not in old browsers. */
export function canElect(): boolean {
  return !!globalThis.navigator?.locks && !!globalThis.BroadcastChannel
}
