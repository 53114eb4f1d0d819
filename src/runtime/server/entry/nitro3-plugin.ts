import { definePlugin } from 'nitro'
import { closeWithHook, connectHooks, startSSEContext } from './runtime-context'
import { listenToSignals } from './signals'

/** Plugin for Nitro 3: the counterpart of `nitro2-plugin.ts`. */
export default definePlugin(({ hooks }) => {
  startSSEContext()
  connectHooks(hooks)
  const close = closeWithHook(hooks)
  // A cluster worker has closed its server by now, but its IPC channel to the primary would keep it alive.
  if (import.meta.preset === 'node-cluster') hooks.hook('close', () => globalThis.process.channel?.unref())
  // All servers of Nitro 3 listen to signals, unless the variable `CI` or `TEST` is set.
  if (!import.meta.dev) listenToSignals({ preset: import.meta.preset, neverClosed: ['node-middleware'], close })
})
