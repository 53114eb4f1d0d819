/** How messages reach a client: an event stream, or repeated JSON answers. */
export type SSETransport = 'stream' | 'poll'

/**
 * One unit of what is sent.
 *
 * `T` is what `data` holds, after JSON; `E` the type of its name.
 */
export interface SSEMessage<T = unknown, E extends string | undefined = string | undefined> {
  /** On a channel its position, `<epoch>.<offset>`; otherwise whatever the source named it, if anything. */
  id?: string
  /** The SSE `event` field; absent for an unnamed message. */
  event?: E
  data: T
}

/**
 * What a route made with `defineSSEHandler` returns, as far as types go: nothing of it exists at run time.
 * The key is a string because Nitro's `Serialize<>` drops symbol keys, and the type would not reach the app.
 */
export interface SSEStream<M extends SSEMessage = SSEMessage> {
  readonly __sse: M
}

/**
 * The answer of a route that is live or static, without the stream: what `$fetch` gets where the handler answers with data.
 * `R` is the type of the answer, as `$fetch` and `useFetch` have it.
 */
export type SSEStatic<R> = Exclude<Awaited<R>, { __sse: unknown }>
