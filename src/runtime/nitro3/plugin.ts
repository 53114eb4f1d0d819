import { definePlugin } from 'nitro'
import { closeSSEContext, connectHooks, startSSEContext } from '../server/nitro'
import { listenToSignals } from '../server/signals'

/** For Nitro 3: as `server/plugins/sse.ts` for Nitro 2. */
export default definePlugin(({ hooks }) => {
  // Made now, so that an option that makes no sense stops the server at its start.
  startSSEContext()
  connectHooks(hooks)
  hooks.hook('close', closeSSEContext)
  // Its server listens to signals unless it finds the variable CI or TEST: then nobody would end the process.
  if (!import.meta.dev) listenToSignals(import.meta.preset, signal => globalThis.process.listenerCount(signal) > 1)
})
