import { clientError } from '../response'
import type { ClientHost } from '../host'
import { createWatchdog } from '../watchdog'

/**
 * Checks whether the route redirects, without following it, and closes the client with `REDIRECTED` if it does. A gate in front of the
 * application may redirect unauthorized clients to a sign-in page on another origin. For `fetch`, that looks like a network failure. Only for
 * pages, and for GET: elsewhere `fetch` follows the redirect.
 */
export async function findGate(session: AbortSignal, { options, prepare, close }: ClientHost): Promise<void> {
  if (options.method !== 'GET' || !globalThis.location) return
  const { url, fetch, init } = await prepare(session)
  const watchdog = createWatchdog(session, options.connectTimeoutMs)
  try {
    const { type } = await fetch(url, { ...init, method: 'HEAD', redirect: 'manual', signal: watchdog.signal })
    if (type === 'opaqueredirect' && !session.aborted) close({ error: clientError('REDIRECTED', 'The request was redirected to another page. You may need to sign in again.') })
  }
  finally {
    watchdog.stop()
  }
}
