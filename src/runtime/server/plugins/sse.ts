import process from 'node:process'
import { defineNitroPlugin } from 'nitropack/runtime'
import { closeSSEContext, connectHooks, leaveSSEContext, useSSEContext } from '../nitro'

/**
 * Ends all streams when the server goes.
 *
 * On SIGTERM, Nitro's Node server first waits for every open connection, 30 s at most, and calls its `close` hook only
 * then: an open stream would hold back each deploy by half a minute. So the signal itself is listened for. The driver closes with
 * the hook: requests that are still at work may publish.
 */
export default defineNitroPlugin((nitroApp) => {
  // Made now, so that an option that makes no sense stops the server at its start.
  useSSEContext()
  connectHooks(nitroApp.hooks)
  nitroApp.hooks.hook('close', closeSSEContext)

  // A listener takes away Node's own reaction to the signal, which is to exit: only where Nitro exits by itself.
  if (import.meta.dev || process.env.NITRO_SHUTDOWN_DISABLED || typeof process.once !== 'function') return
  for (const signal of (process.env.NITRO_SHUTDOWN_SIGNALS || 'SIGTERM SIGINT').split(' ')) {
    process.once(signal.trim(), leaveSSEContext)
  }
})
