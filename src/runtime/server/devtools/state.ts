import { createSSEContext } from '../context/context'
import { useSSEContext } from '../entry/runtime-context'
import { resolveHandlerOptions } from '../resolve-options'
import { Recorder } from './recorder'

export const recorder = new Recorder(useSSEContext)

/** The tab's own streams have a context of their own: they count nowhere in what they show, and no limit of the application is theirs. */
export const devtoolsContext = createSSEContext({ options: resolveHandlerOptions({ heartbeatMs: 5_000, retryMs: 500 }), report: () => {} })

export function closeDevtools(): Promise<void> {
  return devtoolsContext.close()
}
