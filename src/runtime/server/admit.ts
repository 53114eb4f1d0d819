import type { H3Event } from 'h3'
import type { SSEContext } from './context'
import { spread } from './jitter'
import type { ResolvedHandlerOptions } from './options'
import { clientOf } from './client-key'
import { setRetryAfter } from './response'

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
