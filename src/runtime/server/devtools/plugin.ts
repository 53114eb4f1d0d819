import { defineNitroPlugin } from 'nitropack/runtime'
import type { SSEHooks } from '../insight/hooks'
import { tapConnections, useSSEContext } from '../entry/runtime-context'
import { createSSEContext } from '../context/context'
import { resolveHandlerOptions } from '../resolve-options'
import { Recorder } from './recorder'

export const recorder = new Recorder(useSSEContext)

/** Context of the tab's own streams: they are not counted in the figures that the tab shows, and the application's limits do not apply. */
export const devtoolsContext = createSSEContext({ options: resolveHandlerOptions({ heartbeatMs: 5_000, retryMs: 500 }), report: () => {} })

export function closeDevtools(): Promise<void> {
  return devtoolsContext.close()
}

/** Records for the tab in Nuxt DevTools. In development only. */
export default defineNitroPlugin(({ hooks }) => {
  for (const name of Object.keys(recorder.hooks) as (keyof SSEHooks)[]) hooks.hook(name, recorder.hooks[name] as () => void)
  tapConnections(recorder.tap)
  hooks.hook('close', closeDevtools)
})
