import { definePlugin } from 'nitro'
import { closeWithHook, connectHooks, startSSEContext } from './runtime-context'
import { listenToSignals } from './signals'

/** For Nitro 3: as `nitro2-plugin.ts` for Nitro 2. */
export default definePlugin(({ hooks }) => {
  startSSEContext()
  connectHooks(hooks)
  const close = closeWithHook(hooks)
  // A worker of a cluster has closed its server by now, but its channel to the primary would keep it alive.
  if (import.meta.preset === 'node-cluster') hooks.hook('close', () => globalThis.process.channel?.unref())
  // All its servers listen to signals, unless they find the variable CI or TEST.
  if (!import.meta.dev) listenToSignals({ preset: import.meta.preset, neverClosed: ['node-middleware'], close })
})
