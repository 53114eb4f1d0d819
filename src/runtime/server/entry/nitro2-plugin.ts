import { defineNitroPlugin } from 'nitropack/runtime'
import { hangUpProxies } from '../../nitro2/proxied-streams'
import { SSEError } from '../../shared/errors'
import { Channel } from '../channel/channel'
import { closeWithHook, connectHooks, startSSEContext, useSSEContext } from './runtime-context'
import { toHttpError } from '../http/response'
import { listenToSignals } from './signals'

/** Presets without a listener to signals (`bun`, `deno-server`), or with a process that is not theirs (`node-listener`). */
const NEVER_CLOSED = ['bun', 'deno-server', 'node-listener']

/** For Nitro 2: ends all streams when the server goes. The driver closes with the hook: requests that are still at work may publish. */
export default defineNitroPlugin((nitroApp) => {
  startSSEContext()
  connectHooks(nitroApp.hooks)
  const close = closeWithHook(nitroApp.hooks)
  hangUpProxies(nitroApp)
  // h3 takes a channel, which has an `end()`, for a response that somebody else sends: nothing would ever be sent.
  nitroApp.hooks.hook('beforeResponse', (event, response) => {
    if (!(response.body instanceof Channel)) return
    const error = strayChannel()
    useSSEContext().insight.onRefuse(event, error)
    // What a hook throws is caught there. What is sent may be an error.
    response.body = toHttpError(event, error)
  })
  if (import.meta.dev) return
  const signals = listenToSignals({ preset: import.meta.preset, neverClosed: NEVER_CLOSED, close })
  // Known when the application is built: no other preset has this in its bundle.
  if (import.meta.preset === 'node-cluster' && signals) void import('./pass-signals-on').then(({ passSignalsOn }) => passSignalsOn(signals))
})

function strayChannel(): SSEError {
  return new SSEError('INVALID_SOURCE', 'Expected a channel to be returned to `defineSSEHandler`, not to `defineEventHandler`, which cannot stream it.')
}
