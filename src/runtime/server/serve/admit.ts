import type { H3Event } from 'h3'
import type { SSEContext } from '../context/context'
import { spread } from '../lib/delays'
import type { ResolvedHandlerOptions } from '../options'
import { clientAddress, ownKeyOf } from './client-key'
import { setRetryAfter } from '../http/response'

export interface Admitted {
  /** Releases the place. May be called more than once. `undefined` where no limit applies. */
  leave?: () => void
  /** Result of the option `clientKey`. */
  key?: string
}

/** Reserves a place for a request, or throws the client's error, with `Retry-After`. */
export function admit(event: H3Event, options: ResolvedHandlerOptions, { admissions }: SSEContext): Admitted {
  const key = ownKeyOf(event, options)
  try {
    return { key, leave: admissions.enter(options, () => options.clientKey ? key : clientAddress(event, options.trustProxy)) }
  }
  catch (error) {
    setRetryAfter(event, spread(options.retryMs))
    throw error
  }
}
