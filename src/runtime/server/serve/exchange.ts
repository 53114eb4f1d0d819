import type { H3Event } from 'h3'
import type { SSEConnection } from '../connection/types'
import type { SSEContext } from '../context/context'
import type { SSERequest } from '../http/request'
import type { ResolvedHandlerOptions } from '../options'
import { isChannelSource } from '../channel/several'
import type { KeyedRequest } from './keyed-request'
import type { CleanupContext } from '../connection/cleanups'
import { runSafely } from '../connection/cleanups'
import { isIterableSource, iterate, release } from '../lib/source'

/** One request to one handler, as it passes through this folder. */
export interface Exchange {
  readonly event: H3Event
  readonly handler: (event: H3Event, connection: SSEConnection) => unknown
  readonly options: ResolvedHandlerOptions
  readonly context: SSEContext
  readonly request: SSERequest
  /** Set where the option `clientKey` has returned a key. */
  keyed?: KeyedRequest
}

/** Releases a handler's result that will not be streamed. */
export function disposeOf(result: unknown, context: CleanupContext): void {
  if (typeof result === 'function') runSafely(result as () => unknown, context)
  else if (!isChannelSource(result) && isIterableSource(result)) runSafely(() => release(iterate(result), context.report), context)
}
