import type { H3Event } from 'h3'
import { useSSEContext } from '../entry/runtime-context'
import { withinLimits } from '../context/platform-limits'
import type { SSEHandlerOptions } from '../options'
import { resolveHandlerOptions } from '../resolve-options'
import type { RawSSEConnection } from '../serve/raw-connection'
import { createRawConnection } from '../serve/raw-connection'

/**
 * The low level, for use inside `defineEventHandler`: as h3's `createEventStream`, with heartbeats, back pressure, an
 * announced end, and disconnects that are noticed after `readBody` too. To move from that, change the one name.
 *
 * The module's `maxConnections` and `maxConnectionsPerClient` apply, unless `options` say `false`. A number of its own has
 * no effect: there is no handler here whose connections could be counted.
 *
 * @throws `INVALID_OPTION`, and an HTTP error (503, 429) beyond a bound of the module.
 */
export function createSSEConnection(event: H3Event, options: SSEHandlerOptions = {}): RawSSEConnection {
  const context = useSSEContext()
  return createRawConnection(event, withinLimits(resolveHandlerOptions(options, context.options), context.limits), context)
}
