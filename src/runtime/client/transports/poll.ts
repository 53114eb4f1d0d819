import { SSEError } from '../../shared/errors'
import { POLL_CONTENT_TYPE } from '../../shared/protocol'
import type { SSEBatch } from '../../shared/protocol'
import { delay } from '../delay'
import { clientError, refusalOf } from '../response'
import type { Outcome, TransportEvents, TransportRequest } from '../types'
import { addQuery } from '../url'
import { createWatchdog } from '../watchdog'

/** How long the server is asked to wait for news; it may have a lower limit of its own. */
const WAIT_MS = 25_000

/** Batch after batch, until the source is complete or one fails. */
export async function pollTransport({ url, init, position, connectTimeoutMs, signal }: TransportRequest, events: TransportEvents): Promise<Outcome> {
  const headers = new Headers(init.headers)
  headers.set('accept', POLL_CONTENT_TYPE)
  while (true) {
    // Who has no position yet asks for one at once: it could not say what it missed while it waited.
    const waitMs = position === undefined ? 0 : WAIT_MS
    const watchdog = createWatchdog(signal, connectTimeoutMs + waitMs)
    let batch: SSEBatch
    try {
      const response = await fetch(addQuery(url, { transport: 'poll', waitMs, position }), { ...init, headers, signal: watchdog.signal })
      const refusal = await refusalOf(response)
      if (refusal) return refusal.type === 'failed' && refusal.error.statusCode === 406 ? { type: 'unpollable', error: refusal.error } : refusal
      batch = await response.json()
    }
    catch (cause) {
      return { type: 'failed', error: clientError(watchdog.barked ? 'CONNECT_TIMEOUT' : 'NETWORK', 'The poll failed', cause, 0, true) }
    }
    finally {
      watchdog.stop()
    }
    if (signal.aborted) return aborted
    if (batch?.type !== 'batch') return { type: 'unpollable', error: clientError('INVALID_BATCH', `Expected a batch from ${url}`) }

    events.onOpen()
    if (batch.gap) events.onGap(batch.gap)
    for (const message of batch.messages) {
      if (message.id !== undefined) events.onPosition(message.id)
      const busy = events.onMessage(message)
      if (busy) await busy
      if (signal.aborted) return aborted
    }
    events.onPosition(position = batch.position)
    if (batch.error) return { type: 'failed', error: new SSEError(batch.error.code, batch.error.message, { ...batch.error, retry: false }) }
    if (batch.ended) return { type: 'ended' }
    if (batch.pollMs) await delay(batch.pollMs, signal)
    if (signal.aborted) return aborted
  }
}

const aborted: Outcome = { type: 'leave', retryMs: 0 }
