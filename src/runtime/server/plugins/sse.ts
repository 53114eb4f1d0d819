import { defineNitroPlugin } from 'nitropack/runtime'
import { hangUpProxies } from '../../nitro2/proxied-streams'
import { SSEError } from '../../shared/errors'
import { Channel } from '../channel'
import { closeSSEContext, connectHooks, startSSEContext } from '../nitro'
import { toHttpError } from '../response'
import { listenToSignals } from '../signals'

/** For Nitro 2: ends all streams when the server goes. The driver closes with the hook: requests that are still at work may publish. */
export default defineNitroPlugin((nitroApp) => {
  // Made now, so that an option that makes no sense stops the server at its start.
  startSSEContext()
  connectHooks(nitroApp.hooks)
  nitroApp.hooks.hook('close', closeSSEContext)
  hangUpProxies(nitroApp)
  // h3 takes a channel, which has an `end()`, for a response that somebody else sends: nothing would ever be sent.
  nitroApp.hooks.hook('beforeResponse', (event, response) => {
    if (!(response.body instanceof Channel)) return
    const error = strayChannel()
    startSSEContext().insight.onRefuse(event, error)
    // What a hook throws is caught there. What is sent may be an error.
    response.body = toHttpError(event, error)
  })
  if (import.meta.dev) return
  const signals = listenToSignals(import.meta.preset)
  // Known when the application is built: no other preset has this in its bundle.
  if (import.meta.preset === 'node-cluster' && signals) void import('./pass-signals-on').then(({ passSignalsOn }) => passSignalsOn(signals))
})

function strayChannel(): SSEError {
  return new SSEError('INVALID_SOURCE', '[nuxt-sse] Expected a channel to be returned to `defineSSEHandler`, not to `defineEventHandler`, which cannot stream it.')
}
