import { useRequestFetch } from '#imports'
import type { Outcome } from '../client/host'
import { loadPart } from '../client/parts'
import { invalidOption } from '../shared/errors'
import type { SSELoadContext } from './call'

/**
 * Makes the option `load` a step of the client. The code that reads its result is loaded on demand. Call it in setup. Throws `INVALID_OPTION`
 * together with `channel`.
 */
export function stateReader(load: (context: SSELoadContext) => unknown, channel: string | undefined): (signal: AbortSignal) => Promise<Outcome> {
  if (channel !== undefined) throw invalidOption('load', 'unset where `channel` is set', load)
  const $fetch = useRequestFetch() as unknown as SSELoadContext['$fetch']
  const loadReader = () => loadPart(() => import('../client/read-state'))
  // A page that got its state from the server needs this code only after a gap. After a deployment, it would not find it any more.
  if (import.meta.client) loadReader().catch(() => {})
  return async (signal) => {
    const { readState } = await loadReader()
    return readState(() => load({ signal, $fetch }))
  }
}
