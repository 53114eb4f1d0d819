import { defineNitroPlugin } from 'nitropack/runtime'
import { hangUpProxies } from '../../nitro2/proxied-streams'
import { SSEError } from '../../shared/errors'
import { isChannelSource } from '../channel/several'
import { closeWithHook, connectHooks, startSSEContext, useSSEContext } from './runtime-context'
import { toHttpError } from '../http/response'
import { listenToSignals } from './signals'

/** Presets without a signal listener (`bun`, `deno-server`), or with a process that they do not own (`node-listener`). */
const NEVER_CLOSED = ['bun', 'deno-server', 'node-listener']

/**
 * Plugin for Nitro 2: ends all streams when the server shuts down. The `close` hook closes the driver, because requests in flight may still
 * publish.
 */
export default defineNitroPlugin((nitroApp) => {
  startSSEContext()
  connectHooks(nitroApp.hooks)
  const close = closeWithHook(nitroApp.hooks)
  hangUpProxies(nitroApp)
  // h3 takes a channel for a response that other code sends, because it has an `end()`: nothing would ever be sent.
  nitroApp.hooks.hook('beforeResponse', (event, response) => {
    if (!(isChannelSource(response.body))) return
    const error = strayChannel()
    useSSEContext().insight.onRefuse(event, error)
    // An error thrown in this hook would be swallowed by Nitro, but an error may be sent as the body.
    response.body = toHttpError(event, error)
  })
  if (import.meta.dev) return
  const signals = listenToSignals({ preset: import.meta.preset, neverClosed: NEVER_CLOSED, close })
  // A build-time constant: no other preset has this in its bundle.
  if (import.meta.preset === 'node-cluster' && signals) void import('./pass-signals-on').then(({ passSignalsOn }) => passSignalsOn(signals))
})

function strayChannel(): SSEError {
  return new SSEError('INVALID_SOURCE', 'Expected a channel to be returned from `defineSSEHandler`, not from `defineEventHandler`, which cannot stream it.')
}
