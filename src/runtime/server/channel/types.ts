import type { SSEPublicError } from '../../shared/errors'
import type { SSEGap } from '../../shared/protocol'
import type { SSEMessage, SSEStream } from '../../shared/types'
import type { SSESchema, SSESchemaMessage, SSESchemas, SchemaInput } from '../../shared/standard-schema'
import type { TaggedMessage } from '../wire/message'
import type { SSEProducer, SSERunOptions } from '../producers/run'
import type { SSEPipeSource } from '../producers/pump'
import type { SSEPipeParse } from '../producers/event-stream-reader'
import type { SSERetention } from '../options'

export interface SSEChannelOptions {
  /**
   * Retention for this channel. The next write through this handle (`publish`, `pipe`, `run`, `end`, `fail`) stores the fields named here.
   * They apply until another handle names them or the channel is deleted. A handle that names no field changes nothing. A field that no
   * handle has named defaults to the module's `retention`.
   */
  retention?: Partial<SSERetention>
}

/** Options of a channel whose messages have schemas: any Standard Schema (zod, valibot, arktype and others), also asynchronous ones. */
export interface SSESchemaOptions<S = SSESchema | undefined, E = SSESchemas | undefined> extends SSEChannelOptions {
  /**
   * Schema of the data; with `events`, of unnamed messages only. The channel keeps the schema's output. Data that does not fit is refused
   * with `INVALID_MESSAGE`.
   */
  schema?: S
  /** Schemas of named messages, by event name. Other names are refused with `INVALID_EVENT`; without `schema`, so are unnamed messages. */
  events?: E
}

export interface SSEPublishOptions {
  /** The SSE `event` field: 1 to 512 characters. `sse` is reserved. */
  event?: string
  /**
   * Key of the message, 1 to 512 bytes. Makes a retry idempotent: while a message with this key is kept, publishing with it again resolves
   * with that message's ID.
   */
  key?: string
}

export interface SSEReadOptions {
  /** Position to read after: `start`, `now`, an ID, or the number of messages that you have already. Default `start`. */
  after?: string | number
  /**
   * Reads the last messages that are kept, at most this many, instead of those after a position. At least 1. Then `limit` is the same by
   * default. Like any page, the result has at most about 1 MiB: its `position` is where the rest begins.
   */
  last?: number
  /** Maximum number of messages to return, at least 1. Default 1000. */
  limit?: number
}

export interface SSEReadOlderOptions {
  /** ID of a message: reads the messages right before it. */
  before: string
  /** Maximum number of messages to return, at least 1. Default 50. The result has at most about 1 MiB. */
  limit?: number
}

export interface SSEReadOlderResult<T, M extends SSEMessage = SSEMessage<T>> {
  /** Messages right before the ID, the oldest first. */
  messages: M[]
  /** Whether the channel keeps messages that are older. */
  hasOlder: boolean
  /** Gap if the ID belongs to another epoch, in which case `messages` is empty; else `null`. */
  gap: SSEGap | null
}

export interface SSEReadResult<T, M extends SSEMessage = SSEMessage<T>> {
  messages: M[]
  /** Position after the last of `messages`: pass it as `after` next. */
  position: string
  /** Whether the channel has ended and nothing follows `messages`. */
  ended: boolean
  /** Gap before `messages`, or `null`. */
  gap: SSEGap | null
  /** Error of a failed channel. */
  error?: SSEPublicError
}

export interface SSESubscribeOptions {
  /** Position to read after, as for `read`. Default: the option `from`. */
  after?: string | number
  /** Ends the iteration when it aborts. */
  signal?: AbortSignal
  /** Called with each gap; the iteration continues. Without it, a gap throws an `SSEError` with the code `GAP`. */
  onGap?: (gap: SSEGap) => void
}

export interface SSEPipeOptions {
  /**
   * How the data of an event stream is read:
   * - `json`: as JSON. Text that is not JSON stays a string.
   * - `text`: as a string.
   * - A function receives the text and returns the data.
   *
   * Default: `json` if the stream comes from a route of this package, unless that route sends text. In other streams, text that begins with
   * `{` or `[` and is JSON is parsed, and all other text stays a string.
   */
  parse?: SSEPipeParse
  /** Stops the pipe when it aborts: the source is released, and the channel fails with `ABORTED`. */
  signal?: AbortSignal
  /** Current request. Its `waitUntil` keeps the pipe alive on platforms that freeze a process once it has responded. */
  event?: SSERunOptions['event']
}

export interface SSEChannelInfo {
  name: string
  epoch: string
  /** Position of the newest message. */
  position: string
  /** Number of messages kept. */
  messages: number
  /** Oldest offset kept; `lastOffset + 1` when no message is kept. */
  firstOffset: number
  /** Number of messages published in this epoch. */
  lastOffset: number
  ended: boolean
  /** Whether a `run` is filling the channel now, in this or another process. */
  running: boolean
  /** Error of a failed channel. */
  error?: SSEPublicError
}

/** Item of a source: plain data, or a message made by `sseMessage`. */
export type SSEItem<T> = T | TaggedMessage<T>

/** What a channel takes: arguments of `publish`, and items of `pipe` and `run`. */
export interface SSEChannelInput<T = unknown> {
  publish: [data: T, options?: SSEPublishOptions]
  item: SSEItem<T>
}

/** Constraint of {@link SSEChannelInput} for any data. */
interface AnyInput {
  publish: unknown[]
  item: unknown
}

/** A message by its event name, as `publish` takes it. */
type NamedPublish<E extends SSESchemas> = { [Name in keyof E & string]: [data: SchemaInput<E[Name]>, options: SSEPublishOptions & { event: Name }] }[keyof E & string]
type NamedItem<E extends SSESchemas> = { [Name in keyof E & string]: TaggedMessage<SchemaInput<E[Name]>, Name> }[keyof E & string]

/** What a channel with schemas takes. */
export interface SSESchemaInput<S, E> {
  publish: E extends SSESchemas
    ? NamedPublish<E> | (S extends SSESchema ? [data: SchemaInput<S>, options?: SSEPublishOptions & { event?: undefined }] : never)
    : [data: SchemaInput<S>, options?: SSEPublishOptions]
  item: E extends SSESchemas
    ? NamedItem<E> | (S extends SSESchema ? SchemaInput<S> | TaggedMessage<SchemaInput<S>, undefined> : never)
    : SSEItem<SchemaInput<S>>
}

/** Channel whose messages have schemas: what it takes is their input, and what readers receive is their output. */
export type SSESchemaChannel<S, E> = SSEChannel<SSESchemaMessage<S, E>['data'], SSESchemaMessage<S, E>, SSESchemaInput<S, E>>

/**
 * Named log of messages, endless (a feed) or ended (a job), kept by the driver. This object is only a handle: creating one costs nothing
 * and touches nothing. `T` is the type of the data; with schemas, `M` and `Input` are more exact.
 */
export interface SSEChannel<T = unknown, M extends SSEMessage = SSEMessage<T>, Input extends AnyInput = SSEChannelInput<T>> extends SSEStream<M> {
  readonly name: string
  /**
   * Appends a message. Resolves with its ID once the driver has it. Rejects with `CHANNEL_ENDED`, `INVALID_DATA`, `MESSAGE_TOO_LARGE`,
   * `INVALID_EVENT`, `RESERVED_EVENT`, `PUBLISH_RATE` or `DRIVER_UNAVAILABLE`, and with a schema with `INVALID_MESSAGE` or `SCHEMA_FAILED`;
   * then nothing was appended. The publishes of one process to one channel keep the order of their calls.
   */
  publish(...[data, options]: Input['publish']): Promise<string>
  /**
   * Publishes each item of a source, then ends the channel. Fails the channel when the source throws, or with `ABORTED` when `signal`
   * aborts. Runs with or without readers.
   *
   * A source is an async iterable, an iterable, a `ReadableStream`, or the bytes of an event stream, such as the `Response` of an AI
   * provider: each of its events becomes a message, and `data: [DONE]` ends it. For the response of a route of this package, `end` ends the
   * channel and `error` fails it. A gap fails it with `GAP`, and a `leave` or a broken connection with `SOURCE_INTERRUPTED`.
   *
   * An item that is refused is thrown into the source at its `yield`. A source that catches the error continues; otherwise the channel fails
   * with it.
   *
   * Items that arrive while an append is in flight, or within 10 ms of the last one, are appended together. A source that is faster than
   * the driver waits. Appends are retried for 30 s while the driver cannot be reached.
   *
   * Rejects with the error that made the pipe fail. You need not await it: readers receive the error, and an error that must not be shown
   * to them is logged.
   *
   * A pipe ends with its process, and then the channel stays open. Use `run` if that matters. On Cloudflare Workers, a pipe ends with its
   * request, and the channel fails with `PRODUCER_LOST`.
   */
  pipe(source: SSEPipeSource<Input['item']>, options?: SSEPipeOptions): Promise<void>
  /**
   * Starts `producer` and pipes its result, unless the channel has a running producer. Of all concurrent calls for one channel, in all
   * processes, the first starts its producer, and the others attach. Resolves with the channel, so that a handler can return it. The
   * producer runs with or without readers, until it is complete or {@link stop}ped.
   *
   * Rejects with `INVALID_OPTION`, with `DRIVER_UNAVAILABLE`, with `NOT_SUPPORTED` on a driver without leases, and with `SHUTTING_DOWN`
   * when the server is shutting down.
   */
  run(producer: SSEProducer<Input['item']>, options?: SSERunOptions): Promise<this>
  /**
   * Stops the producer that {@link run} started, in any process: its signal aborts, its source is released, and readers receive `ABORTED`
   * after the last message. Resolves when the channel has ended, or has no producer.
   */
  stop(): Promise<void>
  /** Ends the channel: readers receive `end` after the last message. A second call does nothing. */
  end(): Promise<void>
  /**
   * Ends the channel with an error, which readers receive after the last message. Only the message of an `SSEError` or of h3's
   * `createError` is shown to them. Rejects with `CHANNEL_ENDED` when the channel has ended already.
   */
  fail(error: unknown): Promise<void>
  /** Reads the messages right before an ID, for a list that is scrolled back. Rejects with `INVALID_POSITION` and `INVALID_OPTION`. */
  read(options: SSEReadOlderOptions): Promise<SSEReadOlderResult<T, M>>
  /** Reads the messages after a position, or the last ones, as a poll does. Does not wait for new ones. */
  read(options?: SSEReadOptions): Promise<SSEReadResult<T, M>>
  /**
   * Iterates over the messages after a position, then over new ones, until the channel ends. Throws the error of a failed channel,
   * `SHUTTING_DOWN` when the server shuts down, and `DRIVER_UNAVAILABLE` if it cannot begin. A later outage does not end it, as with
   * streams.
   */
  subscribe(options?: SSESubscribeOptions): AsyncIterable<M>
  info(): Promise<SSEChannelInfo>
  /** Deletes all messages and begins a new epoch: readers receive a gap. */
  delete(): Promise<void>
}
