import { getCurrentInstance, onServerPrefetch, useId } from 'vue'
import type { NuxtApp } from '#app'
import type { SSEClientState } from '../../client/types'
import { SSEError } from '../../shared/errors'
import type { SSEErrorOptions } from '../../shared/errors'
import type { SSEMessage } from '../../shared/types'

/** Messages and state of a source that the server read while it rendered. */
export interface SSESnapshot {
  data: unknown
  message: SSEMessage | undefined
  messages: readonly SSEMessage[]
  /** ID of the oldest message since the last gap. */
  oldest?: string
  /** See `SSEClientState`. */
  channels?: Record<string, boolean>
  /** Difference from the initial state. An error travels as a plain object, since a payload cannot hold class instances. */
  state: Partial<SSEClientState>
}

type Payload = NuxtApp['payload'] & { sse?: Record<string, SSESnapshot | undefined> }

/**
 * Passes the server's snapshot to the first render in the browser, in the payload of the page. On the server, the render waits for
 * `readOnServer`. In the browser, returns its result, or `undefined` if the component is not hydrated.
 *
 * Vue's `useId` identifies a call: it differs for two calls in one component, and for two instances of one. Outside components there is no
 * ID, and the first call with the URL gets the snapshot.
 */
export function useSnapshot(nuxtApp: NuxtApp, url: () => string, readOnServer: false | (() => Promise<SSESnapshot | undefined>)): SSESnapshot | undefined {
  const payload = nuxtApp.payload as Payload
  const instance = getCurrentInstance() as ReturnType<typeof getCurrentInstance> & { sp?: unknown[] }
  const id = instance && useId()
  const key = () => `${id} ${url()}`

  if (import.meta.server && readOnServer) {
    const prefetch = async () => {
      const entry = key()
      if (payload.sse?.[entry]) return
      const snapshot = await readOnServer()
      if (snapshot) (payload.sse ??= {})[entry] = { ...snapshot, state: withPlainError(snapshot.state) }
    }
    if (instance) onServerPrefetch(prefetch)
    else nuxtApp.hook('app:created', prefetch)
    return undefined
  }

  // Vue numbers IDs differently below a component that prefetches, and Nuxt removes `onServerPrefetch` from builds for browsers.
  // `useAsyncData` does the same.
  if (instance) instance.sp ||= []
  // A component may be hydrated after the application.
  const snapshot = (instance ? instance.vnode.el : nuxtApp.isHydrating) && payload.sse?.[key()]
  if (!snapshot) return undefined
  // Used once: a component that is mounted later starts from scratch.
  payload.sse![key()] = undefined
  const { error } = snapshot.state
  if (error) snapshot.state.error = new SSEError(error.code, error.message, error as SSEErrorOptions)
  return snapshot
}

/** State with a plain error, without `cause`, which must not reach the page. */
function withPlainError({ error, ...state }: SSESnapshot['state']): SSESnapshot['state'] {
  return error ? { ...state, error: { ...error, message: error.message } as SSEError } : state
}
