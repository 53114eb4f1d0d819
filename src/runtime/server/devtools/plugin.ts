import { defineNitroPlugin } from 'nitropack/runtime'
import type { SSEHooks } from '../insight/hooks'
import { tapConnections, useSSEContext } from '../entry/runtime-context'
import { createSSEContext } from '../context/context'
import { resolveHandlerOptions } from '../resolve-options'
import { Recorder } from './recorder'

export const recorder = new Recorder(useSSEContext)

/** The tab's own streams have a context of their own: they count nowhere in what they show, and no limit of the application is theirs. */
export const devtoolsContext = createSSEContext({ options: resolveHandlerOptions({ heartbeatMs: 5_000, retryMs: 500 }), report: () => {} })

export function closeDevtools(): Promise<void> {
  return devtoolsContext.close()
}

/** Only in development: begins to record for the tab in Nuxt DevTools. */
export default defineNitroPlugin(({ hooks }) => {
  for (const name of Object.keys(recorder.hooks) as (keyof SSEHooks)[]) hooks.hook(name, recorder.hooks[name] as () => void)
  tapConnections(recorder.tap)
  hooks.hook('close', closeDevtools)
})
