import { POLL_CONTENT_TYPE } from '../../shared/protocol'
import type { SSEBatch } from '../../shared/protocol'
import { delay } from '../delay'
import { isUpTo } from '../../shared/position'
import { passingError } from '../response'
import type { ClientHost, TransportRequest } from '../types'
import { addQuery } from '../url'
import { createWatchdog } from '../watchdog'
import { readJson } from './read-json'

/** A stream is looked at when the page wakes, at most once in this time. */
const CHECK_MS = 10_000
/** How long one poll may take to decide, in milliseconds. */
const DECIDE_MS = 2_000
/** What a poll has found may be on its way in the stream, too. */
const LATER_MS = 500

/** Ends an attempt whose stream seems dead. */
export async function checkStream(attempt: AbortController, now: number, { memory, state, prepare }: ClientHost): Promise<void> {
  if (now - (memory.checkedAt ?? 0) < CHECK_MS) return
  memory.checkedAt = now
  if (await hasMissed(await prepare(attempt.signal), () => state().position)) attempt.abort(passingError('SILENCE', 'The stream fell silent'))
}

/**
 * Whether a stream seems dead: one poll from its position finds messages that the stream does not bring, or no server at all. `position` is where the
 * stream stands by then. An answer that is no batch says nothing of the stream.
 */
async function hasMissed({ url, fetch, init, position: asked, signal }: TransportRequest, position: () => string | undefined): Promise<boolean> {
  const watchdog = createWatchdog(signal, DECIDE_MS)
  try {
    init.headers.set('accept', POLL_CONTENT_TYPE)
    const response = await fetch(addQuery(url, { transport: 'poll', waitMs: 0, position: asked }), { ...init, signal: watchdog.signal })
    const batch = response.ok ? await readJson(response) as SSEBatch : undefined
    if (batch?.type !== 'batch' || isUpTo(batch.position, position())) return false
  }
  catch {
    return true
  }
  finally {
    watchdog.stop()
  }
  const here = position()
  await delay(LATER_MS, signal)
  // As long as it brings something, it is alive.
  return here === position()
}
