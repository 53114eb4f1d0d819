import type { H3Event } from 'h3'
import { useSSEContext } from '../entry/runtime-context'
import { withinLimits } from '../context/platform-limits'
import type { SSEHandlerOptions } from '../options'
import { resolveHandlerOptions } from '../resolve-options'
import type { RawSSEConnection } from '../serve/raw-connection'
import { createRawConnection } from '../serve/raw-connection'

/**
 * Low-level connection, for use inside `defineEventHandler`: the API of h3's `createEventStream`, with heartbeats, back pressure, an
 * announced end, and disconnect detection after `readBody`. To migrate, change the function's name.
 *
 * The module's `maxConnections` and `maxConnectionsPerClient` apply, unless `options` set them to `false`. A number in `options` has no
 * effect: no handler exists whose connections could be counted.
 *
 * @throws `INVALID_OPTION`, and an HTTP error (503, 429) beyond a limit of the module.
 */
export function createSSEConnection(event: H3Event, options: SSEHandlerOptions = {}): RawSSEConnection {
  const context = useSSEContext()
  return createRawConnection(event, withinLimits(resolveHandlerOptions(options, context.options), context.limits), context)
}
