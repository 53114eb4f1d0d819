import { getCurrentInstance, onServerPrefetch, useId } from 'vue'
import type { NuxtApp } from '#app'
import { useNuxtApp } from '#imports'
import type { SSEClientState } from '../../client/types'
import { SSEError } from '../../shared/errors'
import type { SSEErrorOptions } from '../../shared/errors'
import type { SSEMessage } from '../../shared/types'

/** What the server read of a source before it rendered. */
export interface SSESnapshot {
  data: unknown
  message: SSEMessage | undefined
  messages: readonly SSEMessage[]
  /** What is not as it is at first. Errors travel as plain objects: no payload can hold an instance of a class. */
  state: Partial<SSEClientState>
}

type Payload = NuxtApp['payload'] & { sse?: Record<string, SSESnapshot | undefined> }

/**
 * Hands what the server read over to the first render in the browser, in the payload of the page. A render waits for
 * `readOnServer`; the browser gets what it resolved with, and `undefined` if it does not hydrate what was rendered.
 *
 * The call is known by Vue's `useId`: two in one component have two, and so have two instances of one. Outside of components
 * there is none, and the first call of a url has the snapshot.
 */
export function useSnapshot(url: () => string, readOnServer: (nuxtApp: NuxtApp) => Promise<SSESnapshot | undefined>): SSESnapshot | undefined {
  const nuxtApp = useNuxtApp()
  const payload = nuxtApp.payload as Payload
  const instance = getCurrentInstance()
  const id = instance ? useId() : ''
  const key = () => `${id} ${url()}`

  async function prefetch(): Promise<void> {
    if (import.meta.client || payload.sse?.[key()]) return
    const snapshot = await readOnServer(nuxtApp)
    if (snapshot) (payload.sse ??= {})[key()] = { ...snapshot, state: withPlainError(snapshot.state) }
  }

  // In the browser too, where it is never called: Vue numbers the ids below a component that has one in another way.
  if (instance) onServerPrefetch(prefetch)
  else if (import.meta.server) nuxtApp.hook('app:created', prefetch)

  // A component that is hydrated late is so after the application was.
  if (import.meta.server || (instance ? !instance.vnode.el : !nuxtApp.isHydrating)) return undefined
  const snapshot = payload.sse?.[key()]
  if (snapshot) {
    // Once: whatever is mounted later begins anew.
    payload.sse![key()] = undefined
    const { error } = snapshot.state
    if (error) snapshot.state.error = new SSEError(error.code, error.message, error as SSEErrorOptions)
  }
  return snapshot
}

/** Without its cause, which is not enumerable, and nobody's business. */
function withPlainError({ error, ...state }: SSESnapshot['state']): SSESnapshot['state'] {
  return error ? { ...state, error: { ...error, message: error.message } } : state
}
