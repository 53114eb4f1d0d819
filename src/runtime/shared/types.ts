/** Transport of messages to a client: an event stream, or repeated JSON answers. */
export type SSETransport = 'stream' | 'poll'

/** Message of a stream. `T` is the type of `data` after JSON; `E` the type of its event name. */
export interface SSEMessage<T = unknown, E extends string | undefined = string | undefined> {
  /** On a channel, the message's position, `<epoch>.<offset>`; otherwise the ID that the source gave, if any. */
  id?: string
  /** SSE `event` field; absent for an unnamed message. */
  event?: E
  data: T
  /** Key of the message's channel, on a route of several. */
  channel?: string
}

/**
 * Type of the result of a `defineSSEHandler` route. Nothing of it exists at run time. The key is a string because Nitro's `Serialize<>`
 * drops symbol keys, and the type would not reach the app.
 */
export interface SSEStream<M extends SSEMessage = SSEMessage> {
  readonly __sse: M
}

/**
 * Answer of a route that is live or static, without the stream: the result of `$fetch` when the handler answers with data. `R` is the type
 * of the answer, as in `$fetch` and `useFetch`.
 */
export type SSEStatic<R> = Exclude<Awaited<R>, { __sse: unknown }>
