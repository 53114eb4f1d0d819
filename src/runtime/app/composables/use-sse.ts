import type { MaybeRefOrGetter } from 'vue'
import { computed, getCurrentInstance, getCurrentScope, isReactive, isRef, onMounted, toValue, watch } from 'vue'
import { tryOnScopeDispose } from '@vueuse/core'
import { useNuxtApp } from '#imports'
import { createSSEClient, initialState } from '../../client/client'
import { resolveClientOptions } from '../../client/options'
import { clientError } from '../../client/response'
import type { SSEClientEvents, SSEClientOptions, SSEClientState } from '../../client/types'
import { invalidOption } from '../../shared/errors'
import type { GivenSchemas, SSESchema, SSESchemaMessage, SSESchemas } from '../../shared/standard-schema'
import type { SSEMessage } from '../../shared/types'
import type { UseSSEOptions, UseSSEReturn } from '../call'
import { createCallbacks } from '../callbacks'
import { warnOfCall, warnOfState, warnUnsharable, watchReduce } from '../dev-warnings'
import { splitRef, unwrapOptions } from '../refs'
import { readSoFar } from '../ssr/read-so-far'
import type { SSESnapshot } from '../ssr/snapshot'
import { useSnapshot } from '../ssr/snapshot'
import type { MessageOfRoute, SSERoute } from '../types'

export type { UseSSEOptions, UseSSEReturn } from '../call'

// Loaded on demand, as most pages need neither.
const loadFallback = ({ schema, events }: SSEClientOptions) => schema || events ? import('../../client/fallback/with-schemas') : import('../../client/fallback/index')
const loadSharing = () => import('../../client/sharing/shared-client')

const DEFAULT_KEEP = 100

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
export function useSSE<S extends SSESchema | undefined = undefined, E extends SSESchemas | undefined = undefined, State = SSESchemaMessage<S, E>['data'] | undefined, Url extends string = string>(url: MaybeUrl<Url>, options: UseSSEOptions<SSESchemaMessage<S, E>, State> & GivenSchemas<S, E>): UseSSEReturn<SSESchemaMessage<S, E>, State>
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
  const { initial, reduce, keep = DEFAULT_KEEP, immediate = true, enabled = true, ssr, share, on: named = {} } = options
  const isShared = share === 'page' || share === 'browser'
  const nuxtApp = useNuxtApp()
  const base = nuxtApp.$config.app.baseURL.replace(/\/?$/, '/')
  const resolved = resolveClientOptions({ ...options, ...unwrapOptions(options) }, () => loadFallback(options as SSEClientOptions), base)

  const given = () => toValue(url) || undefined
  const isEnabled = () => toValue(enabled) !== false

  /** As `$fetch` does: what is below the base already, or on another host, stays as it is. */
  function withBase(path: string): string {
    if (typeof path !== 'string') throw invalidOption('url', 'a text', path)
    return path.startsWith(base) ? path : path.replace(/^\/(?!\/)/, base)
  }

  const path = () => withBase(given() ?? '')
  const snapshot = ssr && immediate && given() && isEnabled() ? useSnapshot(nuxtApp, path, import.meta.server && readOnServer) : undefined

  const begin = () => ({ data: (typeof initial === 'function' ? (initial as () => State)() : initial) as State, message: undefined as SSEMessage | undefined, messages: [] as readonly SSEMessage[] })
  const [content, contentRefs] = splitRef(snapshot ? { data: snapshot.data as State, message: snapshot.message, messages: snapshot.messages } : begin())
  const first: SSEClientState = { ...initialState(resolved.transports[0]!), ...snapshot?.state }
  const [state, stateRefs] = splitRef(first)
  // Only a batch of ours gives a snapshot its position.
  if (first.position) first.peer = 'resumable'
  /** The source has begun again, and its next message is the first of another run. */
  let isNewRun = false

  function take(next: SSEMessage, keep: number): void {
    if (isNewRun && (reduce || keep)) content.value = begin()
    isNewRun = false
    const { messages } = content.value
    let { data } = content.value
    client.guard(() => {
      const check = import.meta.dev && reduce && watchReduce(path(), data)
      data = reduce ? reduce(data, next) : next.data as State
      if (check) check(data)
    })
    content.value = { data, message: next, messages: keep ? [...messages, next].slice(-keep) : messages }
  }

  function setState(change: Partial<SSEClientState>): void {
    const before = state.value
    state.value = { ...before, ...change }
    if (change.gap && change.gap !== before.gap) isNewRun = change.gap.reason === 'restarted'
    if (import.meta.client) callbacks.follow(change, before)
    if (import.meta.dev && import.meta.client) warnOfState(isShared ? path() : state, path(), client.state)
  }

  const events: SSEClientEvents = {
    onMessage(next) {
      setState(client.state)
      take(next, keep)
      callbacks.call(next)
    },
    onState: setState,
  }
  let client = createSSEClient(snapshot ? path() : '', resolved, events, first)
  const callbacks = createCallbacks(options, task => client.guard(task))

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
    content.value = begin()
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
      client = createSharedClient(snapshot ? path() : '', resolved, events, first)
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
    if (current !== undefined && (first.ended || first.error?.retry === false)) setState({ status: 'closed' })
    else connect()
  }

  /** Follows the url, `enabled` and a query. */
  function follow([next, on]: [string | undefined, boolean, string], [last]: [string | undefined, boolean, string]): void {
    if (next !== last) chosen = undefined
    showWait()
    if (!ready || !wanted) return
    current = undefined
    if (on && (chosen ?? next)) return connect()
    client.reset()
    content.value = begin()
  }

  async function readOnServer(): Promise<SSESnapshot | undefined> {
    const kept: SSEMessage[] = []
    const soFar = await readSoFar(nuxtApp, path(), resolved, (next) => {
      take(next, 0)
      // A page need not carry messages that nobody asked for.
      if (options.keep) kept.push(next)
      return resolved.until && client.guard(() => resolved.until!(next))
    })
    if (!soFar) return
    setState(soFar)
    if (kept.length) content.value = { ...content.value, messages: kept.slice(-keep) }
    // The error may be what `reduce` or `until` has thrown.
    return { ...content.value, state: { ...soFar, error: state.value.error } }
  }

  for (const [event, callback] of Object.entries(named)) if (callback) callbacks.on(event, callback)
  if (import.meta.client) {
    if (import.meta.dev) warnOfCall(String(toValue(url)), options)
    if (import.meta.dev && share === 'browser') warnUnsharable()
    // After mount, so that the first render in the browser is what the server rendered; in a plugin, or in a store, whose scope outlives the component
    // that asks first, after the first render of all. In `onMounted` it is after mount already, and that hook does not come again.
    const component = getCurrentInstance() as ReturnType<typeof getCurrentInstance> & { scope?: unknown }
    const isOwn = component && getCurrentScope() === component.scope
    const mounted = isShared ? load : start
    if (isOwn ? component.isMounted : !nuxtApp.isHydrating) void mounted()
    else if (isOwn) onMounted(mounted)
    else tryOnScopeDispose(nuxtApp.hooks.hookOnce('app:suspense:resolve', mounted))
    // By value; a function is called at every attempt, and not watched.
    const query = () => isRef(options.query) || isReactive(options.query) ? JSON.stringify(toValue<unknown>(options.query)) : ''
    watch([given, isEnabled, query], follow)
    tryOnScopeDispose(() => {
      over = true
      client.stop()
    })
  }

  return {
    ...stateRefs,
    ...contentRefs,
    failed: computed(() => state.value.status === 'closed' && !!state.value.error),
    connect: to => connect(to),
    restart: () => connect(undefined, true),
    stop,
    on: callbacks.on as UseSSEReturn<SSEMessage, State>['on'],
  }
}
