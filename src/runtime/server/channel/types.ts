import type { SSEPublicError } from '../../shared/errors'
import type { SSEGap } from '../../shared/protocol'
import type { SSEMessage, SSEStream } from '../../shared/types'
import type { TaggedMessage } from '../wire/message'
import type { SSEProducer, SSERunOptions } from '../producers/run'
import type { SSEPipeSource } from '../producers/pump'
import type { SSEPipeParse } from '../producers/event-stream-reader'

export interface SSEPublishOptions {
  /** The SSE `event` field: 1 to 512 characters. `sse` is reserved. */
  event?: string
  /** 1 to 512 bytes. Makes a retry idempotent: while a message with this key is kept, publishing with it again resolves with that message's id. */
  key?: string
}

export interface SSEReadOptions {
  /** The position to read after: `start`, `now`, an id, or how many messages you have already. Default `start`. */
  after?: string | number
  /** The most messages to return, at least 1. Default 1000. */
  limit?: number
}

export interface SSEReadResult<T> {
  messages: SSEMessage<T>[]
  /** After the last of `messages`: what to pass as `after` next. */
  position: string
  /** The channel has ended, and nothing follows `messages`. */
  ended: boolean
  /** What was missed before `messages`. */
  gap: SSEGap | null
  /** Why the channel failed, if it did. */
  error?: SSEPublicError
}

export interface SSESubscribeOptions {
  /** As for `read`. Default: what the option `from` says. */
  after?: string | number
  /** Ends the iteration. */
  signal?: AbortSignal
  /** Called for messages that were missed; the iteration goes on. Without it, a gap is thrown: an `SSEError` with the code `GAP`. */
  onGap?: (gap: SSEGap) => void
}

export interface SSEPipeOptions {
  /**
   * How the data of an event stream is read: `json` (text that is no JSON stays a string), `text`, or a function of the text that returns the data. Default: JSON where the stream
   * comes from a route of this package, unless that says that it is text; in other streams, text that begins with `{` or `[` and is JSON is
   * parsed, and everything else is the string it was.
   */
  parse?: SSEPipeParse
  /** Stops the pipe: the source is released, and the channel fails with `ABORTED`. */
  signal?: AbortSignal
  /** The current request. Its `waitUntil` keeps the pipe alive on platforms that freeze a process once it has responded. */
  event?: SSERunOptions['event']
}

export interface SSEChannelInfo {
  name: string
  epoch: string
  /** Where the channel ends now. */
  position: string
  /** How many messages are kept. */
  messages: number
  /** The oldest offset kept; `lastOffset + 1` when nothing is. */
  firstOffset: number
  /** How many messages were ever published in this epoch. */
  lastOffset: number
  ended: boolean
  /** Whether a `run` is filling it now, here or in another process. */
  running: boolean
  /** Why it failed, if it did. */
  error?: SSEPublicError
}

/** What a source may give: plain data, or a message made by `sseMessage`. */
export type SSEItem<T> = T | TaggedMessage<T>

/**
 * A named log of messages, endless (a feed) or ended (a job), kept by the driver. This is only a handle: making one
 * costs nothing and touches nothing.
 */
export interface SSEChannel<T = unknown> extends SSEStream<SSEMessage<T>> {
  readonly name: string
  /**
   * Appends a message. Resolves with its id once the driver has it. Rejects with `CHANNEL_ENDED`, `INVALID_DATA`,
   * `MESSAGE_TOO_LARGE`, `INVALID_EVENT`, `RESERVED_EVENT`, `PUBLISH_RATE` or `DRIVER_UNAVAILABLE`; nothing was appended then.
   */
  publish(data: T, options?: SSEPublishOptions): Promise<string>
  /**
   * Publishes each item of a source, then ends the channel. Fails the channel when the source throws, or with `ABORTED` when
   * `signal` aborts. Goes on whether or not anybody reads.
   *
   * A source is an async iterable, an iterable, a `ReadableStream`, or the bytes of an event stream, such as the `Response` of an
   * AI provider: each of its events becomes a message, and `data: [DONE]` ends it. The response of a route of this package ends the channel
   * with its `end`, and fails it with its `error`, with `GAP` for a gap, and with `SOURCE_INTERRUPTED` for a `leave` or a cut.
   *
   * Items that arrive while an append is under way, or within 10 ms of the last one, are appended together; a source that is faster
   * than the driver waits. A driver that cannot be reached is tried again for 30 s. Rejects with whatever made the pipe fail. You need
   * not await it: readers are told, and what they may not be told is logged.
   *
   * A pipe ends with its process, and then nobody ends the channel. Where that matters, use `run`. On Cloudflare
   * Workers a pipe ends with its request, and the channel fails with `PRODUCER_LOST`.
   */
  pipe(source: SSEPipeSource<SSEItem<T>>, options?: SSEPipeOptions): Promise<void>
  /**
   * Starts `producer` and pipes what it returns, unless a producer runs already: of all who call this for one channel, in all
   * processes, the first starts its producer, and the others attach. Resolves with the channel, so that a handler can return it.
   * The producer goes on whether or not anybody reads, until it is complete or {@link stop}ped.
   *
   * Rejects with `INVALID_OPTION`, with `DRIVER_UNAVAILABLE`, with `NOT_SUPPORTED` on a driver without leases, and with `SHUTTING_DOWN` when the
   * server is shutting down.
   */
  run(producer: SSEProducer<SSEItem<T>>, options?: SSERunOptions): Promise<this>
  /**
   * Stops the producer that {@link run} started, in whichever process: its signal aborts, its source is released, and readers get
   * `ABORTED` after the last message. Resolves when the channel has ended, or has no producer.
   */
  stop(): Promise<void>
  /** Ends the channel: readers are told that it is complete. A second call does nothing. */
  end(): Promise<void>
  /**
   * Ends the channel with an error, which readers get after the last message. They see the message of an `SSEError` or of h3's
   * `createError`, and of no other error. Rejects with `CHANNEL_ENDED` when the channel has ended already.
   */
  fail(error: unknown): Promise<void>
  /** The messages after a position, as a poll would get them. Does not wait for new ones. */
  read(options?: SSEReadOptions): Promise<SSEReadResult<T>>
  /**
   * The messages after a position, and then new ones as they come, until the channel ends. Throws the error of a failed channel,
   * `SHUTTING_DOWN` when the server shuts down, and `DRIVER_UNAVAILABLE` where it cannot begin. It outlives a later outage, as streams do.
   */
  subscribe(options?: SSESubscribeOptions): AsyncIterable<SSEMessage<T>>
  info(): Promise<SSEChannelInfo>
  /** Forgets all messages and begins a new epoch: readers are told of a gap. */
  delete(): Promise<void>
}
