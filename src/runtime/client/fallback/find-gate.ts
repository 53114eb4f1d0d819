import type { SSEError } from '../../shared/errors'
import { clientError } from '../response'
import type { TransportRequest } from '../types'
import { createWatchdog } from '../watchdog'

/**
 * Asks, without following it, whether the route redirects. A gate in front of the application may send unauthorized clients to a sign-in page on another origin,
 * which fails for `fetch` as if the network were down.
 */
export async function findGate({ url, fetch, init, connectTimeoutMs, signal }: TransportRequest): Promise<SSEError | undefined> {
  const watchdog = createWatchdog(signal, connectTimeoutMs)
  try {
    const { type } = await fetch(url, { ...init, method: 'HEAD', redirect: 'manual', signal: watchdog.signal })
    if (type === 'opaqueredirect') return clientError('REDIRECTED', 'The request was redirected to another page. You may need to sign in again.')
  }
  catch {
    // The network is down.
  }
  finally {
    watchdog.stop()
  }
}
