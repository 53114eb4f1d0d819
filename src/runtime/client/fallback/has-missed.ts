import { POLL_CONTENT_TYPE } from '../../shared/protocol'
import type { SSEBatch } from '../../shared/protocol'
import { delay } from '../delay'
import { isUpTo } from '../position'
import type { TransportRequest } from '../types'
import { addQuery } from '../url'
import { createWatchdog } from '../watchdog'
import { readJson } from './read-json'

/** How long one poll may take to decide, in milliseconds. */
const DECIDE_MS = 2_000
/** What a poll has found may be on its way in the stream, too. */
const LATER_MS = 500

/**
 * Whether a stream seems dead: one poll from its position finds messages that the stream does not bring, or no server at all. `position` is where the
 * stream stands by then. An answer that is no batch says nothing of the stream.
 */
export async function hasMissed({ url, fetch, init, position: asked, signal }: TransportRequest, position: () => string | undefined): Promise<boolean> {
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
