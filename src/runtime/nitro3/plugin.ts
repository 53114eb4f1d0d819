import { definePlugin } from 'nitro'
import { closeSSEContext, connectHooks, useSSEContext } from '../server/nitro'
import { listenToSignals } from '../server/signals'

/** For Nitro 3: as `server/plugins/sse.ts` for Nitro 2. */
export default definePlugin(({ hooks }) => {
  // Made now, so that an option that makes no sense stops the server at its start.
  useSSEContext()
  connectHooks(hooks)
  hooks.hook('close', () => void closeSSEContext())
  if (!import.meta.dev) listenToSignals(import.meta.preset)
})
