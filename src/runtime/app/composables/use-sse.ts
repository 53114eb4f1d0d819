import { computed, isReactive, isRef, toValue, watch } from 'vue'
import { tryOnScopeDispose } from '@vueuse/core'
import { useNuxtApp } from '#imports'
import { createSSEClient, initialState } from '../../client/client'
import { resolveClientOptions } from '../../client/options'
import { importSharing } from '../../client/parts'
import { callbackError, clientError } from '../../client/response'
import type { History } from '../../client/host'
import type { SSEClientEvents, SSEClientState } from '../../client/types'
import { invalidOption } from '../../shared/errors'
import type { SSEMessage } from '../../shared/types'
import { afterMount } from '../after-mount'
import type { UseSSEOptions, UseSSEReturn } from '../call'
import { createCallbacks } from '../callbacks'
import { warnOfCall, warnOfState, warnUnsharable, watchReduce } from '../dev-warnings'
import { splitRef, unwrapOptions } from '../refs'
import { stateReader } from '../state-reader'
import { loadOnServer } from '../ssr/load-on-server'
import { readSoFar } from '../ssr/read-so-far'
import type { SSESnapshot } from '../ssr/snapshot'
import { useSnapshot } from '../ssr/snapshot'
import type { MaybeUrl, RefCheck } from '../types'
import type { UseSSE } from '../use-sse-signatures'

export type { UseSSEOptions, UseSSEReturn } from '../call'
export type { FromRoute } from '../types'

const DEFAULT_KEEP = 100

function createCall<State>(url?: MaybeUrl, checked: RefCheck<UseSSEOptions<SSEMessage, State>> = {}): UseSSEReturn<SSEMessage, State> {
  const options = checked as UseSSEOptions<SSEMessage, State>
  const { initial, reduce, load: loadState, keep = DEFAULT_KEEP, immediate = true, enabled = true, ssr, share, on: named = {} } = options
  const isShared = share && share !== 'component'
  const nuxtApp = useNuxtApp()
  const base = nuxtApp.$config.app.baseURL.replace(/\/?$/, '/')
  const until = options.until && ((message: SSEMessage) => guard(() => options.until!(message)) as boolean)
  const resolved = resolveClientOptions({ ...options, ...unwrapOptions(options), until, position: undefined }, base)
  if (loadState) Object.assign(resolved, stateReader(loadState, options.channel))

  const given = () => toValue(url) || undefined
  const isEnabled = () => toValue(enabled) !== false

  /** URL with the application's base, as in `$fetch`. A URL that is below the base already, or on another host, stays as it is. */
  function withBase(path: string): string {
    if (typeof path !== 'string') throw invalidOption('url', 'a string', path)
    return path.startsWith(base) ? path : path.replace(/^\/(?!\/)/, base)
  }

  const path = () => withBase(given() ?? '')
  const snapshot = ssr && immediate && given() && isEnabled() ? useSnapshot(nuxtApp, path, import.meta.server && readOnServer) : undefined

  const older: History = { options: resolved, url: () => withBase(current ?? ''), state: () => state.value, past: { oldest: snapshot?.oldest } }
  const begin = () => (older.past = {}, { data: (typeof initial === 'function' ? (initial as () => State)() : initial) as State, message: undefined as SSEMessage | undefined, messages: [] as readonly SSEMessage[] })
  const [content, contentRefs] = splitRef(snapshot ? { data: snapshot.data as State, message: snapshot.message, messages: snapshot.messages } : begin())
  const first: SSEClientState = { ...initialState(resolved.transports[0]!), ...snapshot?.state }
  // Without `load`, a snapshot gets a position only from a batch of this module's server.
  if (first.position && !loadState) Object.assign(first, { peer: 'resumable', channels: snapshot!.channels })
  const [state, stateRefs] = splitRef(first)
  /** The source has restarted, and its next message is the first of a new run. */
  let isNewRun = false

  function take(next: SSEMessage, keep: number): void {
    if (isNewRun && (reduce || keep)) content.value = begin()
    older.past.oldest ??= next.id
    isNewRun = false
    const { messages } = content.value
    let { data } = content.value
    guard(() => {
      const check = import.meta.dev && reduce && watchReduce(path(), data)
      data = reduce ? reduce(data, next) : next.data as State
      if (check) check(data)
    })
    content.value = { data, message: next, messages: keep ? [...messages, next].slice(-keep) : messages }
  }

  /** Runs a callback. If it throws, the error stays until the next connection. */
  function guard<R>(callback: () => R): R | undefined {
    try {
      return callback()
    }
    catch (cause) {
      setState({ error: callbackError(cause) })
    }
  }

  function setState(change: Partial<SSEClientState>): void {
    const before = state.value
    state.value = { ...before, ...change }
    if (change.gap && change.gap !== before.gap) {
      isNewRun = change.gap.reason === 'restarted'
      older.past.oldest = undefined
    }
    if (change.error?.code === 'UNKNOWN_CHANNEL') content.value = begin()
    older.wake?.()
    if (import.meta.client) callbacks.onChange(change, before)
    if (import.meta.dev && import.meta.client) warnOfState(isShared ? path() : state, path(), client.state)
  }

  const events: SSEClientEvents = {
    onMessage(next, change) {
      setState(change)
      take(next, keep)
      callbacks.call(next)
    },
    onLoad(data, change) {
      setState(change)
      content.value = { ...content.value, data: data as State }
    },
    onState: setState,
  }
  const source = [snapshot ? path() : '', resolved, events, first] as const
  let client = createSSEClient(...source)
  const callbacks = createCallbacks(options, guard)

  /** URL of which the client holds a position, if any. With a snapshot, the URL that the server read. */
  let current = snapshot && given()
  /** URL of `connect(url)`, which applies until the parameter `url` changes. */
  let chosen: string | undefined
  let wanted = immediate
  let ready = false
  /** Mounted, and loading the code for sharing. */
  let loading = false
  let disposed = false

  function connect(to?: string | Event, fromScratch?: boolean): void {
    // After the component is unmounted, nothing would end the connection.
    if (import.meta.server || disposed || !isEnabled()) return
    wanted = true
    if (typeof to === 'string' && to) {
      chosen = to
      fromScratch = true
    }
    if (fromScratch) current = undefined
    if (!ready) return state.value.status === 'closed' ? void load() : showWait()
    const next = chosen ?? given()
    resolved.position = toValue(options.position)
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

  /** Loads the code for sharing, then starts. */
  async function load(): Promise<void> {
    loading = true
    showWait()
    let error: SSEClientState['error']
    try {
      const { createSharedClient } = await importSharing()
      client = createSharedClient(...source)
    }
    catch (cause) {
      console.error('[nuxt-sse]', error = clientError('SHARING_FAILED', 'The code for sharing failed to load', cause))
    }
    loading = false
    // A connection of its own would deliver all channels.
    if (error && options.channel) setState({ status: 'closed', error })
    else if (!disposed) start()
  }

  function start(): void {
    ready = true
    // The URL has changed since the snapshot.
    if (current !== given()) current = undefined
    if (!wanted) return
    // Another request would get the same response.
    if (current !== undefined && (first.ended || first.error?.retry === false)) setState({ status: 'closed' })
    else connect()
  }

  /** Reacts to a change of the URL, `enabled` or a watched query. */
  function onInput([next, on]: [string | undefined, boolean, string], [last, before]: [string | undefined, boolean, string]): void {
    if (next !== last) chosen = undefined
    showWait()
    if (!ready || !wanted) return
    // Only the query has changed: the channels that are in both sets continue.
    if (next === last && on && before && state.value.channels && !loadState) return connect()
    current = undefined
    if (on && (chosen ?? next)) return connect()
    client.reset()
    content.value = begin()
  }

  async function readOnServer(): Promise<SSESnapshot | undefined> {
    if (loadState) return loadOnServer(nuxtApp, resolved.readState!, events, () => ({ ...content.value, state: state.value }))
    resolved.position = toValue(options.position)
    const kept: SSEMessage[] = []
    const soFar = await readSoFar(nuxtApp, path(), resolved, (next) => {
      take(next, 0)
      // The payload contains messages only if the option `keep` is set.
      if (options.keep) kept.push(next)
      return until?.(next)
    })
    if (!soFar) return
    setState(soFar)
    if (kept.length) content.value = { ...content.value, messages: kept.slice(-keep) }
    // `reduce` or `until` may have thrown, and set the error.
    const { channels, ...rest } = soFar
    return { ...content.value, oldest: older.past.oldest, channels: channels as SSESnapshot['channels'], state: { ...rest, error: state.value.error } }
  }

  for (const [event, callback] of Object.entries(named)) if (callback) callbacks.on(event, callback)
  if (import.meta.client) {
    if (import.meta.dev) warnOfCall(String(toValue(url)), options)
    if (import.meta.dev && share === 'browser') warnUnsharable()
    afterMount(nuxtApp, isShared || options.channel ? load : start)
    // Watched by value. A function is called at every attempt, and not watched.
    const query = () => isRef(options.query) || isReactive(options.query) ? JSON.stringify(toValue<unknown>(options.query)) : ''
    watch([given, isEnabled, query], onInput)
    tryOnScopeDispose(() => {
      disposed = true
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
    loadOlder: limit => resolved.loadFallback().then(({ loadOlder }) => loadOlder(older, limit)),
    on: callbacks.on as UseSSEReturn<SSEMessage, State>['on'],
  }
}

/**
 * Live messages of a route, as refs and callbacks. Connects when the component is mounted, reconnects, resumes, falls back to polling, and
 * closes with the component. On the server it opens no connection, and `status` is `idle`.
 *
 * The type of the messages comes from the route, or from a type argument: `useSSE<Notice>('/api/notices')`.
 *
 * Every message reaches callbacks and `reduce`, also when several arrive in one tick, or equal ones. The refs show the last one.
 *
 * @param url URL of the route, a ref or a getter of one. A change drops data and position, and connects from scratch. A path is below the
 * application's `baseURL`. While it is `null`, `undefined` or empty, nothing connects and `status` is `idle`.
 * @throws `INVALID_OPTION`
 */
export const useSSE = createCall as UseSSE
