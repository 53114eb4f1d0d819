import type { ResolvedClientOptions } from '../host'
import { prepareRequest } from '../request'

/** Version of the messages between tabs. Tabs of two deployments share a connection only if their versions match. */
export const SHARING_VERSION = 3

/**
 * Key of the calls that may share a connection: all options that decide which messages arrive, with functions called. `inBrowser`: shared with
 * other tabs.
 */
export async function sharingKey(url: string, options: ResolvedClientOptions, inBrowser: boolean, signal: AbortSignal): Promise<string> {
  const parts = await prepareRequest(url, { ...options, position: undefined }, () => ({ position: undefined }), signal).then(
    // Forms, streams and functions cannot be compared, so they get a random key. A relative URL is resolved as `fetch` does.
    ({ url, init: { method, credentials, headers, body } }) => [new Request(url).url, method, credentials, options.transports, options.pauseWhenHidden, typeof options.parse === 'function' || options.fetch || options.schema || options.events ? Math.random() : options.parse, [...headers], typeof body === 'object' ? Math.random() : body],
  // If an option throws, the call gets a connection of its own, which reports the error.
  ).catch(Math.random)
  return JSON.stringify([SHARING_VERSION, inBrowser, parts])
}

/** Whether tabs can share a connection. Web Locks exist only in secure contexts, and not in old browsers. */
export function canElect(): boolean {
  return !!globalThis.navigator?.locks && !!globalThis.BroadcastChannel
}
