import type { MaybeRef, MaybeRefOrGetter, Ref } from 'vue'
import type { MaybeFresh, SSEClientOptions, SSEGap, SSEQuery, SSEShare, SSEStatus } from '../client/types'
import type { SSEError } from '../shared/errors'
import type { SSEMessage, SSETransport } from '../shared/types'
import type { MessageNamed, SSECallback, SSECallbacks, SSEEventName } from './types'

/** What a call of `useSSE` takes and gives. */

export interface UseSSEOptions<M extends SSEMessage, State, Method extends string = string> extends Omit<SSEClientOptions<M>, 'query' | 'headers' | 'body' | 'schema' | 'events'> {
  method?: Method | Uppercase<Method>
  /**
   * Added to the url. A function is called at every attempt. Refs are unwrapped, also those inside an object. A query that is itself a ref, a computed or a reactive
   * object is watched: a change of its value drops data and position, and connects again from scratch.
   */
  query?: MaybeFresh<SSEQuery> | Ref<SSEQuery | undefined> | Record<string, MaybeRef<SSEQuery[string]>>
  /** Headers of the request, as `fetch` takes them. Read at every attempt, and not watched. Refs are unwrapped. */
  headers?: MaybeFresh<HeadersInit> | Ref<HeadersInit | undefined> | Record<string, MaybeRef<string>>
  /** What `fetch` takes is sent as it is, any other object as JSON. Not with `GET`. Read at every attempt, and not watched. Refs are unwrapped. */
  body?: unknown
  /** Connect when the component is mounted. Default `true`. With `false`, call `connect()`. */
  immediate?: boolean
  /**
   * While this is `false`, nothing connects. When it becomes `false`, the connection ends and data and position are forgotten; when it becomes
   * `true`, it begins from scratch. It starts nothing that `connect()` had to start. Default `true`.
   */
  enabled?: MaybeRefOrGetter<boolean | undefined>
  /** What `data` is before the first message, and what `reduce` begins with; or a function that returns it, for each beginning. */
  initial?: State | (() => State)
  /** Folds every message into `data`. Without it, `data` is the data of the last one. */
  reduce?: (state: State, message: M) => State
  /** How many messages `messages` keeps. Default 100. What the server reads with `ssr` is only in it if you say how many. */
  keep?: number
  /**
   * Reads the messages so far while the server renders, so that the page arrives with them; the browser goes on from there.
   * For routes of this application that can be polled. Not with `immediate: false`. Default `false`.
   */
  ssr?: boolean
  /**
   * Who shares the connection: nobody (`component`), all calls on the page that ask for the same (`page`), or those in all tabs of the
   * browser (`browser`; without Web Locks, which need https, only the page). "The same" is method, url, query, headers, body,
   * `credentials`, `transports`, `parse` and `pauseWhenHidden`. Each call has its own position, callbacks and `stop()`. Default `component`.
   */
  share?: SSEShare
  /** Callbacks by name, as with the returned `on`. */
  on?: SSECallbacks<M>
  /** Called when messages were missed for good. */
  onGap?: (gap: SSEGap) => void
  /** Called with each failure, also with those after which the client tries again (`error.retry`). */
  onError?: (error: SSEError) => void
  /** Called when the source is complete. */
  onEnd?: () => void
}

export interface UseSSEReturn<M extends SSEMessage, State> {
  /** The last message's data, or what `reduce` made of all. */
  data: Readonly<Ref<State>>
  /** The last message. */
  message: Readonly<Ref<M | undefined>>
  /** The last `keep` messages. */
  messages: Readonly<Ref<readonly M[]>>
  status: Readonly<Ref<SSEStatus>>
  /**
   * What went wrong last, with a stable `code` and a `statusCode`; `undefined` again with the next connection. `retry` says whether the client
   * tries again, and `retryAt` when.
   */
  error: Readonly<Ref<SSEError | undefined>>
  /** After the last message: where a reconnect goes on. */
  position: Readonly<Ref<string | undefined>>
  transport: Readonly<Ref<SSETransport>>
  /** Failures in a row. */
  attempt: Readonly<Ref<number>>
  /** The source is complete. */
  ended: Readonly<Ref<boolean>>
  /** `closed` because of an error: the client tries no more. */
  failed: Readonly<Ref<boolean>>
  /** What was last missed for good. */
  gap: Readonly<Ref<SSEGap | undefined>>
  /**
   * Continues from the position; with a url, drops data and position and begins there. An event, as from `@click="connect"`, is not taken for a
   * url. Before the component is mounted, it waits for that, so that hydration matches. Does nothing while `enabled` is `false`.
   */
  connect: (url?: string | Event) => void
  /** Drops data and position, and connects to the same url again. */
  restart: () => void
  /** Closes the connection; `connect()` goes on from the position. Before the component is mounted, it does not connect then. */
  stop: () => void
  /** Calls back for every message (`*`), for unnamed ones (`message`), or for those of a name. Returns a function that takes it back. */
  on: <Name extends SSEEventName<M>>(event: Name, callback: SSECallback<MessageNamed<M, Name>>) => () => void
}
