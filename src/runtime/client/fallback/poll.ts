import { SSEError } from '../../shared/errors'
import { POLL_CONTENT_TYPE } from '../../shared/protocol'
import type { SSEBatch } from '../../shared/protocol'
import { delay } from '../delay'
import { readerOf } from '../parser'
import { clientError, isPosition, msOf, passingError, toldError, withoutQuery } from '../response'
import type { Outcome, TransportEvents, TransportRequest } from '../types'
import { addQuery } from '../url'
import { createWatchdog } from '../watchdog'
import { readJson } from './read-json'
import { refusalOf } from './refusal-of'

/** How long the server is asked to wait for news; it may have a lower limit of its own. */
const WAIT_MS = 25_000

/**
 * Polls batch after batch, until the source is complete or a batch fails. `prepare` is called for each: polling may go on for hours,
 * and a token may not. Empty batches are at least `minDelayMs` apart, should something answer at once instead of waiting.
 */
export async function pollTransport(prepare: () => Promise<TransportRequest>, minDelayMs: number, events: TransportEvents): Promise<Outcome> {
  // The first poll does not wait. A client without a position could not say what it missed meanwhile, and one with a position
  // does not know yet whether polling works.
  let waitMs = 0
  while (true) {
    const { url, fetch, init, position, connectTimeoutMs, parse, signal } = await prepare()
    const startedAt = performance.now()
    const watchdog = createWatchdog(signal, connectTimeoutMs + waitMs)
    let batch: SSEBatch
    try {
      init.headers.set('accept', POLL_CONTENT_TYPE)
      const response = await fetch(addQuery(url, { transport: 'poll', waitMs, position }), { ...init, signal: watchdog.signal })
      const refusal = await refusalOf(response, POLL_CONTENT_TYPE, 'INVALID_BATCH')
      if (refusal) return refusal.type === 'failed' ? { ...refusal, unpollable: [200, 406].includes(refusal.error.statusCode) } : refusal
      // A long batch on a slow line takes its time.
      batch = await readJson(response, () => watchdog.limit(connectTimeoutMs)) as SSEBatch
    }
    catch (cause) {
      if (cause instanceof SSEError) return { type: 'failed', error: cause }
      return { type: 'failed', error: passingError(watchdog.barked ? 'CONNECT_TIMEOUT' : 'NETWORK', 'The poll failed', cause) }
    }
    finally {
      watchdog.stop()
    }
    if (signal.aborted) return again
    if (!isBatch(batch)) return { type: 'failed', error: clientError('INVALID_BATCH', `Expected a batch from ${withoutQuery(url)}`, undefined, 200), unpollable: true }

    events.onOpen()
    events.onPeer('resumable')
    if (batch.gap) events.onGap(batch.gap)
    for (const message of batch.messages) {
      // So that both transports give the same: what a stream would have sent.
      const busy = events.onMessage(parse ? { ...message, data: readerOf(parse)(JSON.stringify(message.data)) } : message)
      if (busy) await busy
      if (signal.aborted) return again
    }
    events.onPosition(batch.position)
    if (batch.error) return { type: 'failed', error: toldError({ ...batch.error, retry: false }) }
    if (batch.ended) return { type: 'ended' }
    const restMs = waitMs && !batch.messages.length ? minDelayMs - (performance.now() - startedAt) : 0
    const pollMs = Math.max(msOf(batch.pollMs) ?? 0, restMs)
    if (pollMs > 0) await delay(pollMs, signal)
    if (signal.aborted) return again
    waitMs = WAIT_MS
  }
}

/** Whether all that is done with it can be done: half of a batch would be delivered again and again. */
function isBatch(batch: SSEBatch | null): boolean {
  return batch?.type === 'batch' && isPosition(batch.position) && (!batch.gap || isPosition(batch.gap.position))
    && Array.isArray(batch.messages) && batch.messages.every(one => one && typeof one === 'object' && (one.id === undefined || isPosition(one.id)))
}

/** Aborted: nobody looks at how it ended. */
const again: Outcome = { type: 'again' }
