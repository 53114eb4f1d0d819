import { useRequestFetch } from '#imports'
import type { Outcome } from '../client/host'
import { loadPart } from '../client/options'
import type { SSELoadContext } from './call'

/** Makes the option `load` a step of the client. The code that reads its result is loaded on demand. Call it in setup. */
export function stateReader(load: (context: SSELoadContext) => unknown, channel?: string): (signal: AbortSignal) => Promise<Outcome> {
  const $fetch = useRequestFetch() as unknown as SSELoadContext['$fetch']
  return async (signal) => {
    const { readState } = await loadPart(() => import('../client/read-state'))
    return readState(() => load({ signal, $fetch }), channel)
  }
}
