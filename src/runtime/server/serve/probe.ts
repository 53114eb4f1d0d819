import type { H3Event } from 'h3'
import { whenAborted } from '../lib/abort'
import type { SSEContext } from '../context/context'
import { createResponse } from '../http/response'
import { unref } from '../lib/tick'

/** Duration of a probe. A proxy that buffers holds back its bytes for that long. */
const PROBE_MS = 5_000
const PROBE_BYTES = ': probe\n\n'

/**
 * Responds with a stream of a few bytes, by which a client detects whether its network lets streams through. A probe runs no handler, and
 * counts in no limit, statistics or hooks. It holds only its response and a timer.
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
  // A shutdown does not wait for probes.
  const release = whenAborted(closing, end)
  stop = () => {
    clearTimeout(timer)
    release()
  }
  if (closing.aborted) end()
  return response.answer
}
