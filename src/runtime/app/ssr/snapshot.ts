import { getCurrentInstance, onServerPrefetch, useId } from 'vue'
import type { NuxtApp } from '#app'
import type { SSEClientState } from '../../client/types'
import { SSEError } from '../../shared/errors'
import type { SSEErrorOptions } from '../../shared/errors'
import type { SSEMessage } from '../../shared/types'

/** What the server read of a source before it rendered. */
export interface SSESnapshot {
  data: unknown
  message: SSEMessage | undefined
  messages: readonly SSEMessage[]
  /** What differs from the initial state. Errors travel as plain objects: a payload cannot hold instances of classes. */
  state: Partial<SSEClientState>
}

type Payload = NuxtApp['payload'] & { sse?: Record<string, SSESnapshot | undefined> }

/**
 * Hands what the server read over to the first render in the browser, in the payload of the page. A render waits for
 * `readOnServer`; the browser gets what it resolved with, and `undefined` if it does not hydrate what was rendered.
 *
 * A call is identified by Vue's `useId`, which differs for two calls in one component and for two instances of one. Outside of
 * components there is no id, and the first call with the url gets the snapshot.
 */
export function useSnapshot(nuxtApp: NuxtApp, url: () => string, readOnServer: false | (() => Promise<SSESnapshot | undefined>)): SSESnapshot | undefined {
  const payload = nuxtApp.payload as Payload
  const instance = getCurrentInstance() as ReturnType<typeof getCurrentInstance> & { sp?: unknown[] }
  const id = instance && useId()
  const key = () => `${id} ${url()}`

  if (import.meta.server && readOnServer) {
    const prefetch = async () => {
      const asked = key()
      if (payload.sse?.[asked]) return
      const snapshot = await readOnServer()
      if (snapshot) (payload.sse ??= {})[asked] = { ...snapshot, state: withPlainError(snapshot.state) }
    }
    if (instance) onServerPrefetch(prefetch)
    else nuxtApp.hook('app:created', prefetch)
    return undefined
  }

  // Vue numbers the ids below a component that prefetches in another way, and Nuxt leaves `onServerPrefetch` out of what it
  // builds for browsers: as `useAsyncData` does.
  if (instance) instance.sp ||= []
  // A component may be hydrated later than the application.
  const snapshot = (instance ? instance.vnode.el : nuxtApp.isHydrating) && payload.sse?.[key()]
  if (!snapshot) return undefined
  // Used once: whatever is mounted later begins anew.
  payload.sse![key()] = undefined
  const { error } = snapshot.state
  if (error) snapshot.state.error = new SSEError(error.code, error.message, error as SSEErrorOptions)
  return snapshot
}

/** Without its cause, which is not enumerable, and nobody's business. */
function withPlainError({ error, ...state }: SSESnapshot['state']): SSESnapshot['state'] {
  return error ? { ...state, error: { ...error, message: error.message } as SSEError } : state
}
