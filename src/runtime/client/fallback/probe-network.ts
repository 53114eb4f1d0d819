import { STREAM_CONTENT_TYPE } from '../../shared/protocol'
import { isRepeatable } from '../request'
import { retryableError } from '../response'
import type { ClientHost, TransportRequest } from '../host'
import { createWatchdog } from '../watchdog'

/** Time within which a network that does not buffer delivers the probe's first bytes, in milliseconds. */
const PROBE_TIMEOUT_MS = 2_000
/** Timeout of a first stream whose handler is slow, or whose request cannot be repeated, in milliseconds. */
const SLOW_TIMEOUT_MS = 60_000

/** Probes in flight, by URL: coalesces those of all silent streams of a page. */
const probes = new Map<string, Promise<boolean | undefined>>()

/**
 * Determines why a first stream is silent. If the network buffers streams, a request that may be repeated is aborted, and polling takes over.
 * Otherwise the attempt gets more time. Works only for a route of the page's own origin, since its server has the probe.
 */
export async function probeNetwork(request: TransportRequest, attempt: AbortController, { options, memory, state }: ClientHost): Promise<void> {
  const { origin, location } = globalThis as { origin?: string, location?: { href: string } }
  if (!location || new URL(request.url, location.href).origin !== origin) return
  const url = new URL(`${options.base}__sse/probe`, location.href).href
  if (!probes.has(url)) probes.set(url, isBuffered(url, request.fetch).finally(() => probes.delete(url)))
  const buffers = await probes.get(url)
  if (buffers === undefined || !request.wait) return
  if (buffers && !memory.unpollable && isRepeatable(options, state())) attempt.abort(retryableError('CONNECT_TIMEOUT', 'The network buffers streams'))
  else request.wait(Math.max(options.connectTimeoutMs, SLOW_TIMEOUT_MS))
}

/** Whether the probe, a stream of a few bytes, stays silent. `undefined`: the response is not from this module's probe, and proves nothing. */
async function isBuffered(url: string, fetch: TransportRequest['fetch']): Promise<boolean | undefined> {
  const watchdog = createWatchdog(new AbortController().signal, PROBE_TIMEOUT_MS)
  try {
    // With `manual`, a redirect has the status 0 and no content type.
    const { status, headers, body } = await fetch(url, { cache: 'no-store', redirect: 'manual', signal: watchdog.signal })
    if (status !== 200 || !headers.get('content-type')?.startsWith(STREAM_CONTENT_TYPE)) return undefined
    const reader = body!.getReader()
    const { done } = await reader.read()
    // The first bytes decide. The rest would occupy one of the browser's six connections for seconds.
    void reader.cancel().catch(() => {})
    return done ? undefined : false
  }
  catch {
    return watchdog.expired || undefined
  }
  finally {
    watchdog.stop()
  }
}
