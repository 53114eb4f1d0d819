import { useRequestFetch } from '#imports'
import type { ResolvedClientOptions } from '../client/host'
import { loadPart } from '../client/parts'
import type { SSELoadContext } from './call'

/** Makes the option `load` a step of the client, whose code is loaded on demand, before the first connection. Call it in setup. */
export function stateReader(load: (context: SSELoadContext) => unknown, channel: string | undefined): Required<Pick<ResolvedClientOptions, 'readState' | 'loadState'>> {
  const $fetch = useRequestFetch() as unknown as SSELoadContext['$fetch']
  const loadReader = () => loadPart(() => import('../client/read-state'))
  if (import.meta.client) loadReader().catch(() => {})
  return {
    readState: signal => loadReader().then(({ readState }) => readState(() => load({ signal, $fetch }), channel)),
    loadState: (...attempt) => loadReader().then(({ loadState }) => loadState(...attempt)),
  }
}
