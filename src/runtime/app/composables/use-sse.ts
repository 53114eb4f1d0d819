import type { MaybeRefOrGetter, ShallowRef } from 'vue'
import { getCurrentInstance, getCurrentScope, onMounted, shallowRef, toValue, watch } from 'vue'
import { tryOnScopeDispose } from '@vueuse/core'
import { useNuxtApp } from '#imports'
import { createSSEClient, initialState } from '../../client/client'
import { resolveClientOptions } from '../../client/options'
import { clientError } from '../../client/response'
import type { SSEClientEvents, SSEClientState } from '../../client/types'
import { invalidOption } from '../../shared/errors'
import type { SSEMessage } from '../../shared/types'
import type { UseSSEOptions, UseSSEReturn } from '../call'
import { warnOfCall, warnOfState, warnUnsharable, watchReduce } from '../dev-warnings'
import { readSoFar } from '../ssr/read-so-far'
import type { SSESnapshot } from '../ssr/snapshot'
import { useSnapshot } from '../ssr/snapshot'
import type { MessageOfRoute, SSECallback, SSERoute } from '../types'

export type { UseSSEOptions, UseSSEReturn } from '../call'

// Loaded on demand, as most pages need neither.
const loadFallback = () => import('../../client/fallback')
const loadSharing = () => import('../../client/sharing/shared-client')

/** Stands for "whatever the route sends" where no type argument is given. */
export interface FromRoute { readonly __fromRoute: never }

/**
 * What no url is. TypeScript types a getter once, by the first signature that it tries. This one tells it that the getter's text matters, and
 * the next one then finds it (`() => '/api/clock'`, and not `() => string`).
 */
interface Refused { (): '', readonly __refused: never }

/** Rules out the overload with a type argument where none is given. `any` counts as given, although it extends everything. */
type UrlIfTyped<T> = 0 extends 1 & T ? MaybeRefOrGetter<string> : [T] extends [FromRoute] ? Refused : MaybeRefOrGetter<string>

/** Without a url, nothing connects yet. */
type MaybeUrl<Url extends string = string> = MaybeRefOrGetter<Url | null | undefined>

/**
 * Live messages of a route: connects when the component is mounted, reconnects, resumes, falls back to polling, and ends
 * with the component. On the server nothing opens, and `status` is `idle`.
 *
 * The type of the messages is the route's, unless a type argument says otherwise: `useSSE<Notice>('/api/notices')`.
 *
 * Every message reaches callbacks and `reduce`, also when ten come in one tick, or equal ones. The refs show the last.
 *
 * @param url may be a ref or a getter: a change drops data and position, and connects again from scratch. One that begins with `/` is
 * below the application's `baseURL`. While it is `null`, `undefined` or empty, nothing connects and `status` is `idle`.
 * @throws `INVALID_OPTION`
 */
export function useSSE<T = FromRoute, State = T | undefined>(
  url: UrlIfTyped<T>,
  options?: UseSSEOptions<SSEMessage<T>, State>,
): UseSSEReturn<SSEMessage<T>, State>
export function useSSE<Url extends SSERoute, Method extends string = 'get', State = MessageOfRoute<Url, Method>['data'] | undefined>(
  url: MaybeRefOrGetter<Url>,
  options?: UseSSEOptions<MessageOfRoute<Url, Method>, State, Method>,
): UseSSEReturn<MessageOfRoute<Url, Method>, State>
export function useSSE<T = unknown, State = T | undefined>(url?: unknown extends T ? null : MaybeUrl, options?: UseSSEOptions<SSEMessage<T>, State>): UseSSEReturn<SSEMessage<T>, State>
// Apart from the one above, as the text of a getter is only typed where nothing else may be returned.
export function useSSE<Url extends SSERoute, Method extends string = 'get', State = MessageOfRoute<Url, Method>['data'] | undefined>(
  // eslint-disable-next-line @typescript-eslint/unified-signatures
  url: MaybeUrl<Url>,
  options?: UseSSEOptions<MessageOfRoute<Url, Method>, State, Method>,
): UseSSEReturn<MessageOfRoute<Url, Method>, State>
export function useSSE<State>(url?: MaybeUrl, options: UseSSEOptions<SSEMessage, State> = {}): UseSSEReturn<SSEMessage, State> {
  const { initial, reduce, keep = 0, immediate = true, enabled = true, ssr, share, on: named = {} } = options
  const isShared = share === 'page' || share === 'browser'
  const resolved = resolveClientOptions(options, loadFallback)
  const nuxtApp = useNuxtApp()
  const base = nuxtApp.$config.app.baseURL.replace(/\/?$/, '/')

  const given = () => toValue(url) || undefined
  const isEnabled = () => toValue(enabled) !== false

  /** As `$fetch` does: what is below the base already, or on another host, stays as it is. */
  function withBase(path: string): string {
    if (typeof path !== 'string') throw invalidOption('url', 'a text', path)
    return path.startsWith(base) ? path : path.replace(/^\/(?!\/)/, base)
  }

  const path = () => withBase(given() ?? '')
  const snapshot = ssr && immediate && given() && isEnabled() ? useSnapshot(nuxtApp, path, import.meta.server && readOnServer) : undefined

  const callbacks = new Map<string, Set<SSECallback>>()
  const shown = { ...initialState(resolved.transports[0]!), ...snapshot?.state }
  // Only a batch of ours gives a snapshot its position.
  const state: SSEClientState = snapshot?.state.position ? { ...shown, peer: 'resumable' } : shown
  const refs = Object.fromEntries(Object.entries(shown).map(([name, value]) => [name, shallowRef(value)])) as { [Name in keyof Omit<SSEClientState, 'peer'>]: ShallowRef<SSEClientState[Name]> }
  const data = shallowRef((snapshot ? snapshot.data : initial) as State)
  const message = shallowRef(snapshot?.message)
  const messages = shallowRef<readonly SSEMessage[]>(snapshot?.messages ?? [])

  function reset(): void {
    data.value = initial as State
    message.value = undefined
    messages.value = []
  }

  function take(next: SSEMessage): void {
    client.guard(() => {
      const check = import.meta.dev && reduce && watchReduce(path(), data.value)
      data.value = reduce ? reduce(data.value, next) : next.data as State
      if (check) check(data.value)
    })
    message.value = next
  }

  function setState(change: Partial<SSEClientState>): void {
    for (const [name, value] of Object.entries(change)) if (name in refs) (refs[name as keyof typeof refs] as ShallowRef<unknown>).value = value
    if (import.meta.dev && import.meta.client) warnOfState(isShared ? path() : refs, path(), client.state)
  }

  const events: SSEClientEvents = {
    onMessage(next) {
      take(next)
      if (keep) messages.value = [...messages.value, next].slice(-keep)
      for (const name of [next.event ?? 'message', '*']) {
        // A callback may take back or register others, which are not for this message.
        const set = callbacks.get(name)
        for (const callback of [...set ?? []]) if (set!.has(callback)) client.guard(() => callback(next))
      }
    },
    onState: setState,
  }
  let client = createSSEClient(snapshot ? path() : '', resolved, events, state)

  function on(event: string, callback: SSECallback): () => void {
    let set = callbacks.get(event)
    if (!set) callbacks.set(event, set = new Set())
    set.add(callback)
    return () => void set.delete(callback)
  }

  /** Where the client stands, if anywhere: with a snapshot, where the server's reading ended. */
  let current = snapshot && given()
  /** The url of `connect(url)`, until the option changes. */
  let chosen: string | undefined
  let wanted = immediate
  let ready = false
  /** Mounted, and waiting for the code of sharing. */
  let loading = false
  let over = false

  function connect(to?: string | Event, anew?: boolean): void {
    // Nothing would end it after its component.
    if (import.meta.server || over || !isEnabled()) return
    wanted = true
    if (typeof to === 'string' && to) {
      chosen = to
      anew = true
    }
    if (anew) current = undefined
    if (!ready) return showWait()
    const next = chosen ?? given()
    if (current !== undefined) return client.connect()
    if (next === undefined) return
    reset()
    client.connect(withBase(current = next))
  }

  function stop(): void {
    if (!ready) wanted = false
    showWait()
    client.stop()
  }

  function showWait(): void {
    if (loading) setState({ status: wanted && isEnabled() && (chosen ?? given()) ? 'connecting' : 'idle' })
  }

  /** Begins, as soon as the code is here that it needs. */
  async function load(): Promise<void> {
    loading = true
    showWait()
    try {
      const { createSharedClient } = await loadSharing()
      client = createSharedClient(snapshot ? path() : '', resolved, events, state)
    }
    catch (cause) {
      console.error('[nuxt-sse]', clientError('SHARING_FAILED', 'The code for `share` could not be loaded: this call has a connection of its own', cause))
    }
    loading = false
    if (!over) start()
  }

  function start(): void {
    ready = true
    // The url has changed since.
    if (current !== given()) current = undefined
    if (!wanted) return
    // Asking again would give the same answer.
    if (current !== undefined && (state.ended || state.error?.retry === false)) setState({ status: 'closed' })
    else connect()
  }

  /** Follows the url and `enabled`. */
  function follow([next, on]: [string | undefined, boolean], [last]: [string | undefined, boolean]): void {
    if (next !== last) chosen = undefined
    showWait()
    if (!ready || !wanted) return
    current = undefined
    if (on && (chosen ?? next)) return connect()
    client.reset()
    reset()
  }

  async function readOnServer(): Promise<SSESnapshot | undefined> {
    const kept: SSEMessage[] = []
    const soFar = await readSoFar(nuxtApp, path(), resolved, (next) => {
      take(next)
      if (keep) kept.push(next)
      return resolved.until && client.guard(() => resolved.until!(next))
    })
    if (!soFar) return
    setState(soFar)
    messages.value = kept.slice(-keep)
    // The error may be what `reduce` or `until` has thrown.
    return { data: data.value, message: message.value, messages: messages.value, state: { ...soFar, error: refs.error.value } }
  }

  for (const [event, callback] of Object.entries(named)) if (callback) on(event, callback)
  if (import.meta.client) {
    if (import.meta.dev) warnOfCall(String(toValue(url)), options)
    if (import.meta.dev && share === 'browser') warnUnsharable()
    // After mount, so that the first render in the browser is what the server rendered; in a plugin, or in a store, whose scope outlives the component
    // that asks first, after the first render of all. In `onMounted` it is after mount already, and that hook does not come again.
    const component = getCurrentInstance() as ReturnType<typeof getCurrentInstance> & { scope?: unknown }
    const isOwn = component && getCurrentScope() === component.scope
    const begin = isShared ? load : start
    if (isOwn ? component.isMounted : !nuxtApp.isHydrating) void begin()
    else if (isOwn) onMounted(begin)
    else tryOnScopeDispose(nuxtApp.hooks.hookOnce('app:suspense:resolve', begin))
    watch([given, isEnabled], follow)
    tryOnScopeDispose(() => {
      over = true
      client.stop()
    })
  }

  return { ...refs, data, message, messages, connect: to => connect(to), restart: () => connect(undefined, true), stop, on: on as UseSSEReturn<SSEMessage, State>['on'] }
}
