import { defineNitroPlugin } from 'nitropack/runtime'
import type { SSEHooks } from '../insight/hooks'
import { tapConnections } from '../entry/runtime-context'
import { closeDevtools, recorder } from './state'

/** Only in development: begins to record for the tab in Nuxt DevTools. */
export default defineNitroPlugin(({ hooks }) => {
  for (const name of Object.keys(recorder.hooks) as (keyof SSEHooks)[]) hooks.hook(name, recorder.hooks[name] as () => void)
  tapConnections(recorder.tap)
  hooks.hook('close', closeDevtools)
})
