import { STREAM_CONTENT_TYPE } from '../../shared/protocol'
import { isRepeatable } from '../request'
import { passingError } from '../response'
import type { ClientHost, TransportRequest } from '../types'
import { createWatchdog } from '../watchdog'

/** A network that lets streams through has brought bytes of the probe by then. */
const BYTES_MS = 2_000
/** How long a first stream may stay silent where the handler is slow, or its request cannot be repeated. */
const PATIENCE_MS = 60_000

/** Those under way: all that is silent at once on a page asks once. */
const probes = new Map<string, Promise<boolean | undefined>>()

/**
 * Finds out why a first stream is silent. Where the network holds streams back, a request that may be repeated is ended for a poll; in the other
 * cases the attempt may take longer. Only a page whose own origin has the route can find out: its server has the probe.
 */
export async function probeNetwork(request: TransportRequest, attempt: AbortController, { options, memory, state }: ClientHost): Promise<void> {
  const { origin, location } = globalThis as { origin?: string, location?: { href: string } }
  if (!location || new URL(request.url, location.href).origin !== origin) return
  const url = new URL(`${options.base}__sse/probe`, location.href).href
  if (!probes.has(url)) probes.set(url, isHeldBack(url, request.fetch).finally(() => probes.delete(url)))
  const heldBack = await probes.get(url)
  if (heldBack === undefined || !request.wait) return
  if (heldBack && !memory.unpollable && isRepeatable(options, state())) attempt.abort(passingError('CONNECT_TIMEOUT', 'The network holds streams back'))
  else request.wait(Math.max(request.connectTimeoutMs, PATIENCE_MS))
}

/** Whether a stream of a few bytes stays silent. `undefined`: the answer is none of the module's, and says nothing. */
async function isHeldBack(url: string, fetch: TransportRequest['fetch']): Promise<boolean | undefined> {
  const watchdog = createWatchdog(new AbortController().signal, BYTES_MS)
  try {
    // A redirect has no status here, and no content type.
    const { status, headers, body } = await fetch(url, { cache: 'no-store', redirect: 'manual', signal: watchdog.signal })
    if (status !== 200 || !headers.get('content-type')?.startsWith(STREAM_CONTENT_TYPE)) return undefined
    const reader = body!.getReader()
    const { done } = await reader.read()
    // The answer is there: the rest would hold one of a browser's six connections for seconds.
    void reader.cancel().catch(() => {})
    return done ? undefined : false
  }
  catch {
    return watchdog.barked || undefined
  }
  finally {
    watchdog.stop()
  }
}
