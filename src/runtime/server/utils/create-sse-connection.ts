import type { H3Event } from 'h3'
import { Connection } from '../connection'
import { useSSEContext } from '../nitro'
import type { SSEHandlerOptions } from '../options'
import { resolveHandlerOptions } from '../options'
import type { RawSSEConnection } from '../raw-connection'
import { RawConnection } from '../raw-connection'
import { createResponse } from '../response'

/**
 * The low level, for use inside `defineEventHandler`: h3's `createEventStream` with heartbeats, back pressure, an
 * announced end, and a disconnect that is noticed after `readBody` too. Moving is a change of one name.
 *
 * @throws `INVALID_OPTION`
 */
export function createSSEConnection(event: H3Event, options: SSEHandlerOptions = {}): RawSSEConnection {
  const context = useSSEContext()
  const response = createResponse(event)
  return new RawConnection(event, response, new Connection(resolveHandlerOptions(options, context.options), context, response, event))
}
