import type { H3Event } from 'h3'
import type { SSEContext } from '../context/context'
import { spread } from '../lib/delays'
import type { ResolvedHandlerOptions } from '../options'
import { clientOf } from './client-key'
import { setRetryAfter } from '../http/response'

/**
 * Reserves a place for a request, or throws the client's error, with `Retry-After`. The returned release may be called more than once.
 * Returns `undefined` where no limit applies.
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
