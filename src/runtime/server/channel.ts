import { parsePositionRequest, POSITION_FORMS, formatPosition } from '../shared/position'
import { SSEError, invalidOption, printValue } from '../shared/errors'
import type { SSEPublicError } from '../shared/errors'
import type { SSEGap } from '../shared/protocol'
import type { SSEMessage, SSEStream } from '../shared/types'
import type { SSEContext } from './context'
import type { SSERetention } from './options'
import type { TaggedMessage } from './message'
import type { SSEProducer, SSERunOptions } from './producers'
import type { SSEPipeSource } from './pump'
import { keepAlive } from './keep-alive'
import { watchLease } from './lease'
import { encodeEntry } from './message'
import { resolveRetention } from './options'
import { isPrivateError, publicError } from './public-error'
import { byteLength } from './wire'
import { readChannel, subscribeChannel } from './channel-read'

const MAX_NAME_BYTES = 512

export interface SSEPublishOptions {
  /** The SSE `event` field. `sse` is reserved. */
  event?: string
  /** Makes a retry idempotent: while a message with this key is kept, publishing it again resolves with the id it has. */
  key?: string
}

export interface SSEReadOptions {
  /** Where to begin, behind it: `start`, `now`, an id, or a number of messages already had. Default `start`. */
  after?: string | number
  /** At most so many messages. Default 1000. At least 1. */
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
  /** As for `read`. Default: the channel's `from`. */
  after?: string | number
  /** Ends the iteration. */
  signal?: AbortSignal
  /** Told of messages that were missed; the iteration goes on. Without it a gap is thrown: `SSEError` with code `GAP`. */
  onGap?: (gap: SSEGap) => void
}

export interface SSEPipeOptions {
  /** Stops it: the source is released, and the channel fails with `ABORTED`. */
  signal?: AbortSignal
  /** The request under way, whose `waitUntil` keeps the pipe alive on platforms that would freeze it behind the response. */
  event?: SSERunOptions['event']
}

export interface SSEChannelInfo {
  name: string
  epoch: string
  /** Where the channel ends now. */
  position: string
  /** Messages kept. */
  messages: number
  /** The oldest offset kept; `lastOffset + 1` when nothing is. */
  firstOffset: number
  /** Messages ever published in this epoch. */
  lastOffset: number
  ended: boolean
  /** A `run` fills it now, here or in another process. */
  running: boolean
  error?: SSEPublicError
}

/** The data that a source's items carry. */
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
   * Publishes each item of a source, then ends the channel; fails it when the source throws, or with `ABORTED` when `signal`
   * aborts. Goes on without any reader. A source is an async iterable, an iterable, a `ReadableStream`, or the bytes of an event
   * stream, such as a `Response` of an AI provider: each of its events is a message, and `data: [DONE]` its end.
   *
   * What comes while an append is under way, or within 10 ms of the last, is the next append; a source that is faster than the driver waits. A driver that is
   * away is asked again for 30 s. Rejects with what made it fail; that need not be awaited: readers are told, and what they may
   * not be told is logged.
   *
   * It ends with its process, and then nobody ends the channel: where that matters, use `run`. On Cloudflare Workers it ends with its
   * request, and the channel fails with `PRODUCER_LOST`.
   */
  pipe(source: SSEPipeSource<SSEItem<T>>, options?: SSEPipeOptions): Promise<void>
  /**
   * Starts `producer` and pipes what it gives, unless somebody does already: of all who call it for one channel, in all
   * processes, the first one starts it, and the others attach. Resolves with the channel, so that a handler can return it.
   * The producer goes on without any reader, until it is complete or {@link stop}ped.
   *
   * Rejects with `DRIVER_UNAVAILABLE`, and with `SHUTTING_DOWN` when the server goes.
   */
  run(producer: SSEProducer<SSEItem<T>>, options?: SSERunOptions): Promise<this>
  /**
   * Stops what {@link run} has started, in whatever process: its signal aborts, its source is released, and readers get `ABORTED`
   * behind the last message. Resolves when the channel has ended, or has no producer (any more).
   */
  stop(): Promise<void>
  /** Completes the channel: readers are told, and go. A second call does nothing. */
  end(): Promise<void>
  /**
   * Completes the channel with an error, which readers get behind the last message. Only the text of an `SSEError` or of
   * h3's `createError` is shown. Rejects with `CHANNEL_ENDED` when it has ended.
   */
  fail(error: unknown): Promise<void>
  /** The messages behind a position, as a poll would get them. Does not wait. */
  read(options?: SSEReadOptions): Promise<SSEReadResult<T>>
  /**
   * The messages behind a position, and then those to come, until the channel ends. Throws the error of a failed channel,
   * and `SHUTTING_DOWN` when the server goes.
   */
  subscribe(options?: SSESubscribeOptions): AsyncIterable<SSEMessage<T>>
  info(): Promise<SSEChannelInfo>
  /** Forgets all messages and begins a new epoch: readers are told of a gap. */
  delete(): Promise<void>
}

/** The implementation, which the rest of the server recognises a channel by. */
export class Channel<T = unknown> implements SSEChannel<T> {
  declare readonly __sse: SSEMessage<T>
  readonly retention: SSERetention

  constructor(protected readonly context: SSEContext, readonly name: string, options: { retention?: Partial<SSERetention> } = {}) {
    if (typeof name !== 'string' || name === '' || byteLength(name) > MAX_NAME_BYTES) {
      throw new SSEError('INVALID_CHANNEL', `[nuxt-sse] Expected the name of a channel to be a text of 1 to ${MAX_NAME_BYTES} bytes, got ${printValue(name)}.`)
    }
    this.retention = resolveRetention(options.retention, context.options.retention)
  }

  publish(data: T, { event, key }: SSEPublishOptions = {}): Promise<string> {
    return this.#publish(data, event, key)
  }

  // Not async: that would be another promise, whose rejection nobody handles when the caller does not.
  pipe(source: SSEPipeSource<SSEItem<T>>, { signal, event }: SSEPipeOptions = {}): Promise<void> {
    const producer = this.context.producers.pipe(this, source, signal)
    keepAlive(event, producer.through())
    return producer.done
  }

  async run(producer: SSEProducer<SSEItem<T>>, options: SSERunOptions = {}): Promise<this> {
    await this.context.producers.run(this, producer as SSEProducer, options)
    return this
  }

  async stop(): Promise<void> {
    const { driver, closing } = this.context
    const ask = () => driver.lease(this.name, { type: 'stop' }, this.retention)
    const { state } = await ask()
    if (!state?.lease) return
    await watchLease(driver, this.name, this.retention, async (now) => {
      // What runs in another life of the channel was never asked to stop.
      if (!now?.lease || now.epoch !== state.epoch) return true
      // A store that has gone back does not know that it was.
      if (!now.lease.stopping) await ask()
      return false
    }, closing)
  }

  async end(): Promise<void> {
    await this.context.driver.finish(this.name, {}, this.retention)
  }

  async fail(error: unknown): Promise<void> {
    if (isPrivateError(error)) this.context.report(error, 'channel')
    // Whoever comes back gets the same end again.
    const closing = { error: { ...publicError(error), retry: false } }
    if (await this.context.driver.finish(this.name, closing, this.retention)) return
    throw new SSEError('CHANNEL_ENDED', `[nuxt-sse] Expected channel \`${this.name}\` to be open, but it has ended: it cannot fail any more.`, { statusCode: 409, cause: error })
  }

  async read({ after = 'start', limit }: SSEReadOptions = {}): Promise<SSEReadResult<T>> {
    if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) throw invalidOption('limit', 'a whole number, at least 1', limit)
    return readChannel<T>(this.context.driver, this.name, parseAfter(after), 'start', limit)
  }

  subscribe({ after, signal, onGap }: SSESubscribeOptions = {}): AsyncIterable<SSEMessage<T>> {
    const request = after === undefined ? undefined : parseAfter(after)
    return subscribeChannel<T>(() => this.context.hub.reader(this.name, request, this.context.options.from), this.context.closing, signal, onGap)
  }

  async info(): Promise<SSEChannelInfo> {
    const { epoch, first, last, closing, lease } = await this.context.driver.state(this.name)
    return {
      name: this.name,
      epoch,
      position: formatPosition(epoch, last),
      messages: last - first + 1,
      firstOffset: first,
      lastOffset: last,
      ended: closing !== null,
      running: lease !== undefined && lease.leftMs > 0,
      ...closing?.error && { error: closing.error },
    }
  }

  async delete(): Promise<void> {
    await this.context.driver.remove(this.name)
  }

  async #publish(item: unknown, event?: string, key?: string): Promise<string> {
    const { maxPublishPerSecond: maxPerSecond } = this.context.options
    try {
      if (maxPerSecond !== false) this.context.publishRate.take(this.name, maxPerSecond)
      return await this.#append(item, event, key)
    }
    catch (error) {
      this.context.insight.onPublishError(this.name, error)
      throw error
    }
  }

  async #append(item: unknown, event?: string, key?: string): Promise<string> {
    const entry = encodeEntry(item, this.context.options.maxMessageBytes, event)
    if (key !== undefined && (typeof key !== 'string' || key === '')) {
      throw new SSEError('INVALID_OPTION', `[nuxt-sse] Expected \`key\` to be a text, got ${printValue(key)}.`)
    }
    const { epoch, offsets } = await this.context.driver.append(this.name, [{ ...entry, key }], this.retention)
    const id = formatPosition(epoch, offsets[0]!)
    this.context.insight.onPublish(this.name, id, entry.event, entry.data)
    return id
  }
}

function parseAfter(after: string | number): NonNullable<ReturnType<typeof parsePositionRequest>> {
  const request = parsePositionRequest(String(after))
  if (request) return request
  throw new SSEError('INVALID_POSITION', `[nuxt-sse] Expected \`after\` to be ${POSITION_FORMS}, got ${printValue(after)}.`, { statusCode: 400 })
}
