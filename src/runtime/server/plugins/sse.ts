import process from 'node:process'
import { defineNitroPlugin } from 'nitropack/runtime'
import { closeSSEContext, connectHooks, leaveSSEContext, startSSEContext } from '../nitro'
import { passSignalsOn } from './pass-signals-on'

/**
 * Ends all streams when the server goes.
 *
 * On SIGTERM, Nitro's Node server first waits for every open connection, 30 s at most, and calls its `close` hook only
 * then: an open stream would hold back each deploy by half a minute. So the signal itself is listened for. The driver closes with
 * the hook: requests that are still at work may publish.
 */
export default defineNitroPlugin((nitroApp) => {
  // Made now, so that an option that makes no sense stops the server at its start.
  startSSEContext()
  connectHooks(nitroApp.hooks)
  nitroApp.hooks.hook('close', closeSSEContext)

  // A listener takes away Node's own reaction to the signal, which is to exit: only where Nitro exits by itself.
  if (import.meta.dev || process.env.NITRO_SHUTDOWN_DISABLED || typeof process.on !== 'function') return
  const signals = (process.env.NITRO_SHUTDOWN_SIGNALS || 'SIGTERM SIGINT').split(' ').map(signal => signal.trim()).filter(Boolean)
  // Not `once`: the second of an impatient operator would be Node's own reaction again, in the midst of the shutdown.
  for (const signal of signals) process.on(signal, leaveSSEContext)
  // Known when the application is built: no other preset has this in its bundle.
  if (import.meta.preset === 'node-cluster') void import('node:cluster').then(({ default: cluster }) => passSignalsOn(cluster, signals))
})
