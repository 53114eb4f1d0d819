import type { Fallback } from './host'
import { retryableError } from './response'
import type { SSEClientOptions } from './types'

/**
 * Parts of the client that only some connections need. Bundlers make a chunk of each.
 *
 * The code of these parts must not import this file, directly or through another: Rolldown then splits the client into more chunks, which costs
 * every page a kilobyte.
 */

/** Loads code on demand. Rejects with a retryable error. */
export function loadPart<T>(load: () => Promise<T>): Promise<T> {
  return load().catch((cause) => {
    throw retryableError('NETWORK', 'Part of the client failed to load', cause)
  })
}

/** Loads the code for connections that fail, and for routes of several channels. */
export function importFallback({ schema, events }: SSEClientOptions): Promise<Fallback> {
  // One import a line: the build of the package adds the file extension, which Node needs, to one of them only.
  if (schema || events) return import('./fallback/with-schemas')
  return import('./fallback/index')
}

/** Loads the code for requests with a body. Rejects with a retryable error. */
export function importBodies() {
  return loadPart(() => import('../shared/encode-body'))
}

/** Loads the code for calls that share a connection, or read one of several channels. */
export function importSharing() {
  return import('./sharing/shared-client')
}
