import type { H3Event } from 'h3'
import type { SSEContext } from '../context/context'
import { spread } from '../lib/delays'
import type { ResolvedHandlerOptions } from '../options'
import { clientOf } from '../limits/client-key'
import { setRetryAfter } from '../http/response'

/**
 * Takes a place for a request, or throws what the client is told, with `Retry-After`. The release may be called more than
 * once; there is none where nothing is bounded.
 */
export function admit(event: H3Event, options: ResolvedHandlerOptions, { admissions }: SSEContext): (() => void) | undefined {
  try {
    return admissions.enter(options, () => clientOf(event, options))
  }
  catch (error) {
    setRetryAfter(event, spread(options.retryMs))
    throw error
  }
}
