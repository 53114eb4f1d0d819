import { POLL_CONTENT_TYPE } from '../../shared/protocol'
import type { SSEBatch } from '../../shared/protocol'
import { delay } from '../delay'
import { isWholeUpTo } from '../../shared/whole-position'
import { retryableError } from '../response'
import type { ClientHost, TransportRequest } from '../host'
import { addQuery } from '../url'
import { createWatchdog } from '../watchdog'
import { readJson } from './read-json'

/** Minimum time between two checks of a stream, in milliseconds. A page that wakes triggers one. */
const CHECK_MS = 10_000
/** Timeout of the poll that checks a stream, in milliseconds. */
const POLL_TIMEOUT_MS = 2_000
/** Time for the stream to deliver the messages that the poll found, in milliseconds. */
const DELIVERY_MS = 500

/** Ends the attempt with `SILENCE` if its stream seems dead. `now`: time when the page woke. */
export async function checkStream(attempt: AbortController, now: number, { options, memory, state, prepare }: ClientHost): Promise<void> {
  const { status, transport } = state()
  if (attempt.signal.aborted || status !== 'connected' || transport !== 'stream' || !options.transports.includes('poll')) return
  if (now - (memory.checkedAt ?? 0) < CHECK_MS) return
  memory.checkedAt = now
  if (await hasMissed(await prepare(attempt.signal), () => state().position)) attempt.abort(retryableError('SILENCE', 'The stream fell silent'))
}

/**
 * Whether a stream seems dead: one poll from its position finds messages that the stream does not deliver, or gets no response. `position`
 * returns the stream's position at that moment. Any other response than a batch proves nothing.
 */
async function hasMissed({ url, fetch, init, position: requested, signal }: TransportRequest, position: () => string | undefined): Promise<boolean> {
  const watchdog = createWatchdog(signal, POLL_TIMEOUT_MS)
  try {
    init.headers.set('accept', POLL_CONTENT_TYPE)
    const response = await fetch(addQuery(url, { transport: 'poll', waitMs: 0, position: requested }), { ...init, signal: watchdog.signal })
    const batch = response.ok ? await readJson(response) as SSEBatch : undefined
    if (batch?.type !== 'batch' || isWholeUpTo(batch.position, position())) return false
  }
  catch {
    return true
  }
  finally {
    watchdog.stop()
  }
  const here = position()
  await delay(DELIVERY_MS, signal)
  // A stream whose position moves is alive.
  return here === position()
}
