import { defineNitroPlugin } from 'nitropack/runtime'
import { closeSSEContext, connectHooks, startSSEContext } from '../nitro'
import { listenToSignals } from '../signals'

/** For Nitro 2: ends all streams when the server goes. The driver closes with the hook: requests that are still at work may publish. */
export default defineNitroPlugin((nitroApp) => {
  // Made now, so that an option that makes no sense stops the server at its start.
  startSSEContext()
  connectHooks(nitroApp.hooks)
  nitroApp.hooks.hook('close', closeSSEContext)
  if (import.meta.dev) return
  const signals = listenToSignals(import.meta.preset)
  // Known when the application is built: no other preset has this in its bundle.
  if (import.meta.preset === 'node-cluster' && signals) void import('./pass-signals-on').then(({ passSignalsOn }) => passSignalsOn(signals))
})
