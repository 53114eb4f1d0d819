import type { MaybeRef, MaybeRefOrGetter, Ref } from 'vue'
import type { MaybeFresh, SSEClientOptions, SSEGap, SSEQuery, SSEShare, SSEStatus } from '../client/types'
import type { SSEError } from '../shared/errors'
import type { SSEMessage, SSESnapshot, SSETransport } from '../shared/types'
import type { AnswerOf } from '#sse/routes'
import type { MessageNamed, SSECallback, SSECallbacks, SSEEventName } from './types'

/** Argument of the option `load`. */
export interface SSELoadContext {
  /** Aborted when the state is not needed any more: the URL has changed, or the call has stopped. */
  signal: AbortSignal
  /** `$fetch`. While the server renders, the one of `useRequestFetch()`, which sends the user's cookies. */
  $fetch: SSEFetch
}

/**
 * `$fetch` for GET requests, typed by the route or by a type argument. TypeScript infers the state from its result, which it cannot do from the
 * result of the global `$fetch`.
 */
export interface SSEFetch {
  <Url extends string>(url: Url, options?: SSEFetchOptions): Promise<AnswerOf<Url>>
  <T>(url: string, options?: SSEFetchOptions): Promise<T>
}

/** Options of `$fetch`, as in `ofetch`. */
export interface SSEFetchOptions extends Omit<RequestInit, 'body'> {
  baseURL?: string
  body?: unknown
  query?: Record<string, unknown>
  retry?: number | false
  timeout?: number
}

/** Options of `useSSE`: those of a connection, with refs, and those of the composable. */
export interface UseSSEOptions<M extends SSEMessage, State, Method extends string = string, Key extends string | undefined = string | undefined> extends Omit<SSEClientOptions<M>, 'query' | 'headers' | 'body' | 'position' | 'channel' | 'schema' | 'events'> {
  /**
   * HTTP method. Default `GET`, or `POST` with a `body`. A request with another method than `GET` is repeated only if this module's server
   * announced that it resumes, or if the server refused the request. Otherwise a lost connection fails with `INTERRUPTED`.
   */
  method?: Method | Uppercase<Method>
  /**
   * Key of one channel, on a route of several: everything then concerns that channel alone, also `position`, `on` and `loadOlder()`. The call
   * closes when the channel ends. Error where the route has no such channel: `UNKNOWN_CHANNEL`. Default: all channels.
   */
  channel?: Key
  /**
   * Query parameters that are added to the URL. Default: none. A function is called at every attempt. Refs are unwrapped, also inside an
   * object. A ref, a computed or a reactive object is watched: a change of its value drops data and position, and connects from scratch. On a
   * route of several channels, those that are still there continue with their data.
   */
  query?: MaybeFresh<SSEQuery> | Ref<SSEQuery | undefined> | Record<string, MaybeRef<SSEQuery[string]>>
  /** Request headers, in any form that `fetch` accepts. Default: none. Read at every attempt, and not watched. Refs are unwrapped. */
  headers?: MaybeFresh<HeadersInit> | Ref<HeadersInit | undefined> | Record<string, MaybeRef<string>>
  /**
   * Request body. Values that `fetch` accepts are sent as they are, other objects as JSON. Default: none. Read at every attempt, and not
   * watched. Refs are unwrapped. With `GET` it throws `INVALID_OPTION`.
   */
  body?: unknown
  /**
   * Where to begin: `start`, `now`, an ID, or the number of messages that you have already. A ref or a getter is read at the first connection
   * of each URL, and not watched. No effect with `load`. Default: the server's option `from`.
   */
  position?: MaybeRefOrGetter<string | number | undefined>
  /** Whether to connect when the component is mounted. Default `true`. With `false`, call `connect()`. */
  immediate?: boolean
  /**
   * Whether the call may connect. When it becomes `false`, the connection ends, and data and position are dropped. When it becomes `true`, the
   * client connects from scratch, unless `immediate` is `false` and `connect()` was never called. Default `true`.
   */
  enabled?: MaybeRefOrGetter<boolean | undefined>
  /** Value of `data` before the first message, and the first state of `reduce`; or a function that returns it. Default `undefined`. */
  initial?: State | (() => State)
  /** Returns the next `data` from the current one and a message. Default: `data` is the data of the last message. */
  reduce?: (state: State, message: M) => State
  /**
   * Loads the state that the messages change: before the first connection, and again after each gap. Resolves with `{ data, position }`, the
   * result of `channel.snapshot()`. `data` becomes the state, and messages after `position` are reduced into it. While it runs, `data` stays,
   * and `status` is `connecting` or `reconnecting`. If it rejects, `error` is `LOAD_FAILED`, and the client retries as for a connection.
   * With `channel`, only a gap of that channel loads again, and `position` is that channel's own, or the whole one of several.
   */
  load?: (context: SSELoadContext) => SSESnapshot<State> | Promise<SSESnapshot<State>>
  /** Number of messages that `messages` keeps. Default 100. With `ssr`, messages that the server reads are kept only if you set `keep`. */
  keep?: number
  /**
   * Reads the messages so far while the server renders, for up to 3 s. The page arrives with them, and the browser resumes after them.
   * For routes of this application that can be polled. No effect with `immediate: false`. Default `false`.
   */
  ssr?: boolean
  /**
   * Scope of the connection: this call alone (`component`), all equal calls on the page (`page`), or those in all tabs of the browser
   * (`browser`; without Web Locks, which need HTTPS, only the page). Calls are equal if they have the same method, URL, query, headers, body,
   * `credentials`, `transports`, `parse` and `pauseWhenHidden`. Each call has its own channel, position, callbacks and `stop()`. Default
   * `component`.
   */
  share?: SSEShare
  /** Callbacks by event name, as with the returned `on`. */
  on?: SSECallbacks<M, Key>
  /** Called when messages are lost for good. */
  onGap?: (gap: SSEGap) => void
  /** Called for each failure, also for those after which the client retries (`error.retry`). */
  onError?: (error: SSEError) => void
  /** Called when the source is complete. */
  onEnd?: () => void
}

/** Return value of `useSSE`. All refs are read-only, and change together. */
export interface UseSSEReturn<M extends SSEMessage, State, Key extends string | undefined = undefined> {
  /** Data of the last message, or the result of `reduce`. `initial` before the first message. */
  data: Readonly<Ref<State>>
  /** Last message. */
  message: Readonly<Ref<M | undefined>>
  /** The last `keep` messages, the oldest first. */
  messages: Readonly<Ref<readonly M[]>>
  /** State of the connection. `idle` on the server. */
  status: Readonly<Ref<SSEStatus>>
  /**
   * Last error, with a stable `code` and a `statusCode`. `undefined` again with the next connection. `retry`: whether the client retries.
   * `retryAt`: time of the next attempt in epoch milliseconds, while it waits.
   */
  error: Readonly<Ref<SSEError | undefined>>
  /** Position after the last message, from which a reconnect resumes. */
  position: Readonly<Ref<string | undefined>>
  /** Transport in use: `stream` or `poll`. */
  transport: Readonly<Ref<SSETransport>>
  /** Failures in a row. */
  attempt: Readonly<Ref<number>>
  /** Whether the source is complete. */
  ended: Readonly<Ref<boolean>>
  /** Whether the client is `closed` because of an error, and no longer retries. */
  failed: Readonly<Ref<boolean>>
  /** Last gap: messages that are lost for good. */
  gap: Readonly<Ref<SSEGap | undefined>>
  /**
   * Connects, and resumes from the position. With a URL, drops data and position and connects there. An event argument, as from
   * `@click="connect"`, is ignored. Before the component is mounted, it connects on mount, so that hydration matches. Does nothing while
   * `enabled` is `false`.
   */
  connect: (url?: string | Event) => void
  /** Drops data and position, and connects to the same URL from scratch. */
  restart: () => void
  /**
   * Messages right before the oldest one that this call has had since its last gap, the oldest first; empty at the beginning of the channel.
   * It changes nothing else. Calls run one after the other. Uses the call's own method, query, headers and body. `limit`: default 50, at most
   * 1,000; an event argument, as from `@click="loadOlder"`, is ignored. Rejects with an `SSEError`: `GAP` if these messages are lost,
   * `NOT_SUPPORTED` without a stored channel, `INVALID_OPTION` on a route of several without the option `channel`, `ABORTED` if the call starts
   * again meanwhile.
   */
  loadOlder: (limit?: number | Event) => Promise<M[]>
  /** Closes the connection. `connect()` resumes from the position. Before the component is mounted, it prevents the connection on mount. */
  stop: () => void
  /**
   * Registers a callback for all messages (`*`), for unnamed ones (`message`), or for those of one name. On a route of several channels without
   * the option `channel`, a name is a key, or `key/name`. Returns a function that unregisters it.
   */
  on: <Name extends SSEEventName<M, Key>>(event: Name, callback: SSECallback<MessageNamed<M, Name, Key>>) => () => void
}
