import { SSEError } from '../../shared/errors'
import { POLL_CONTENT_TYPE } from '../../shared/protocol'
import type { SSEBatch } from '../../shared/protocol'
import { delay } from '../delay'
import { createReader } from '../parser'
import { clientError, isPosition, parseMs, retryableError, serverError } from '../response'
import type { Outcome, TransportEvents, TransportRequest } from '../host'
import { addQuery } from '../url'
import { createWatchdog } from '../watchdog'
import { dropUnknown, readJson } from './read-json'
import { readRefusal, withoutQuery } from './read-refusal'
import type { Over } from './several'
import { readSeveral } from './several'

/** Requested waiting time of a long poll, in milliseconds. The server may have a lower limit. */
const WAIT_MS = 25_000

/**
 * Polls batch after batch until the source is complete or a batch fails. Calls `prepare` for each, since polling may outlast a token. Empty
 * batches are at least `minDelayMs` apart, in case a proxy answers at once instead of waiting.
 */
export async function pollTransport(prepare: () => Promise<TransportRequest>, minDelayMs: number, events: TransportEvents): Promise<Outcome> {
  // The first poll does not wait. A client without a position needs one at once, to miss no message. A client with a position first has to
  // learn whether polling works.
  let waitMs = 0
  const over: Over = {}
  while (true) {
    const { url, fetch, init, position, options: { connectTimeoutMs, parse }, signal } = await prepare()
    const startedAt = performance.now()
    const watchdog = createWatchdog(signal, connectTimeoutMs + waitMs)
    let batch: SSEBatch
    try {
      init.headers.set('accept', POLL_CONTENT_TYPE)
      const response = await fetch(addQuery(url, { transport: 'poll', waitMs, position }), { ...init, signal: watchdog.signal })
      const refusal = await readRefusal(response, POLL_CONTENT_TYPE, 'INVALID_BATCH')
      if (refusal) return refusal.type === 'failed' ? { ...refusal, unpollable: [200, 406].includes(refusal.error.statusCode) } : refusal
      // The limit restarts with each piece: a large batch may take long on a slow line.
      batch = await readJson(response, () => watchdog.limit(connectTimeoutMs)) as SSEBatch
    }
    catch (cause) {
      if (cause instanceof SSEError) return { type: 'failed', error: cause }
      return { type: 'failed', error: retryableError(watchdog.expired ? 'CONNECT_TIMEOUT' : 'NETWORK', 'The poll failed', cause) }
    }
    finally {
      watchdog.stop()
    }
    if (signal.aborted) return ABORTED
    if (!isBatch(batch)) return { type: 'failed', error: clientError('INVALID_BATCH', `Expected a batch from ${withoutQuery(url)}`, undefined, 200), unpollable: true }

    events.onOpen()
    dropUnknown(batch)
    // Passes the text that a stream would have sent, so that both transports deliver the same data.
    if (parse) batch.messages = batch.messages.map(one => ({ ...one, data: createReader(parse)(JSON.stringify(one.data)) }))
    const outcome = await (batch.channels ? readSeveral(batch, position ?? new URLSearchParams(url.slice(url.indexOf('?'))).get('position') ?? undefined, over, events, signal) : readOne(batch, events, signal))
    if (outcome) return outcome
    if (signal.aborted) return ABORTED
    const restMs = waitMs && !batch.messages.length ? minDelayMs - (performance.now() - startedAt) : 0
    const pollMs = Math.max(parseMs(batch.pollMs) ?? 0, restMs)
    if (pollMs > 0) await delay(pollMs, signal)
    if (signal.aborted) return ABORTED
    waitMs = WAIT_MS
  }
}

/** Delivers a batch of one channel. */
async function readOne({ messages, position, gap, error, ended }: SSEBatch, events: TransportEvents, signal: AbortSignal): Promise<Outcome | undefined> {
  events.onPeer('resumable')
  const outcome = gap && events.onGap(gap)
  if (outcome) return outcome
  for (const message of messages) {
    const busy = events.onMessage(message)
    if (busy) await busy
    if (signal.aborted) return undefined
  }
  events.onPosition(position)
  if (error) return { type: 'failed', error: serverError({ ...error, retry: false }) }
  return ended ? { type: 'ended' } : undefined
}

/** Whether the whole batch is valid. If it failed halfway, each retry would deliver its first half again. */
function isBatch(batch: SSEBatch | null): boolean {
  return batch?.type === 'batch' && isPosition(batch.position) && [batch, ...Object.values(batch.channels ?? {})].every(one => one && (!one.gap || isPosition(one.gap.position)))
    && Array.isArray(batch.messages) && batch.messages.every(one => one && typeof one === 'object' && (one.id === undefined || isPosition(one.id)))
}

/** Outcome of an aborted poll, which is ignored. */
const ABORTED: Outcome = { type: 'switch' }
