import type { H3Event } from 'h3'
import { whenAborted } from '../lib/abort'
import type { SSEContext } from '../context/context'
import { createResponse } from '../http/response'
import { unref } from '../lib/tick'

/** How long a probe is open. A proxy that buffers holds back its bytes for that long. */
const PROBE_MS = 5_000
const PROBE_BYTES = ': probe\n\n'

/**
 * Answers with a stream of a few bytes, by which a client finds out whether its network lets streams through. A probe runs no
 * handler, counts in no limit, no statistics and no hooks, and keeps nothing but its response and a timer.
 */
export function serveProbe(event: H3Event, { closing, options }: Pick<SSEContext, 'closing' | 'options'>): unknown {
  const response = createResponse(event)
  let isOver = false
  let stop = () => {}
  response.watch({
    onDrain() {},
    onClose() {
      isOver = true
      stop()
    },
  })
  if (isOver || !response.open(options.headers)) return null
  response.write(PROBE_BYTES)
  const end = () => response.end()
  const timer = unref(setTimeout(end, PROBE_MS))
  // A shutdown waits for none of them.
  const release = whenAborted(closing, end)
  stop = () => {
    clearTimeout(timer)
    release()
  }
  if (closing.aborted) end()
  return response.answer
}
