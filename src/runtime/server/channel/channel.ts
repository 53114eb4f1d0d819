import { formatPosition } from '../../shared/position'
import { SSEError, printValue } from '../../shared/errors'
import { publicChannelName } from '../../shared/secret-epoch'
import type { SSEMessage, SSESnapshot } from '../../shared/types'
import type { ChannelContext } from '../context/channel-context'
import { INTERNAL_PREFIX } from '../context/disconnect-channel'
import { hasLeases, readState } from '../drivers/capabilities'
import type { LogRetention } from '../options'
import type { SSEProducer, SSERunOptions } from '../producers/run'
import type { SSEPipeSource } from '../producers/pump'
import { subjectOfChannel } from '../insight/insight'
import { traces } from '../insight/traces'
import { platform } from '../lib/platform/platform'
import type { MessageSchemas } from './message-schemas'
import { forgetRetention, warnOfRetention } from './named-retention'
import { watchLease } from '../producers/lease'
import { resolveRetention } from '../resolve-options'
import { isPrivateError, publicError } from '../wire/public-error'
import { byteLength } from '../wire/encode'
import { parseAfter, subscribeChannel } from './read'
import { readAsAsked } from './read-options'
import { snapshotOf } from './snapshot'
import type { SSEChannel, SSEChannelInfo, SSEChannelOptions, SSEItem, SSEPipeOptions, SSEPublishOptions, SSEReadOlderOptions, SSEReadOlderResult, SSEReadOptions, SSEReadResult, SSESubscribeOptions } from './types'
import { packData } from '../drivers/packed-data'
import type { PackedData } from '../drivers/packed-data'
import type { PackedAppend } from '../drivers/types'
import { asText, encodePacked } from '../wire/message'

/** Maximum length of a channel's name and of a key, in bytes of UTF-8. */
const MAX_NAME_BYTES = 512

/** Time limit of a schema, in milliseconds, on a driver that names no limit for its operations. */
const DEFAULT_TIMEOUT_MS = 2_000

/** Implementation of {@link SSEChannel}. The rest of the server recognises a channel by this class. */
export class Channel<T = unknown, Context extends ChannelContext = ChannelContext> implements SSEChannel<T> {
  declare readonly __sse: SSEMessage<T>
  readonly retention: LogRetention

  readonly name: string

  /** `prefix` is put before the name, in a namespace that applications cannot name. */
  constructor(protected readonly context: Context, name: string, options: SSEChannelOptions = {}, private readonly schemas?: MessageSchemas, prefix = '') {
    if (!isName(name) || (!prefix && name.startsWith(INTERNAL_PREFIX))) {
      throw new SSEError('INVALID_CHANNEL', `Expected the channel name to be a well-formed string of 1 to ${MAX_NAME_BYTES} bytes that does not begin with \`${INTERNAL_PREFIX}\`, got ${printValue(name)}.`, { statusCode: 400 })
    }
    this.name = prefix + name
    this.retention = resolveRetention(options.retention, context.options.retention)
  }

  /**
   * Not async: an async function keeps its arguments, and so the data, while it waits. Here the message is encoded before anything waits,
   * and V8 can collect the data.
   */
  publish(data: T, options?: SSEPublishOptions): Promise<string> {
    const earlier = this.context.publishing.get(this.name)
    let entry: PackedAppend | Promise<PackedAppend>
    try {
      entry = this.#encode(data, options)
    }
    catch (error) {
      this.context.insight.onPublishError(this.name, error)
      return Promise.reject(error)
    }
    return earlier || entry instanceof Promise ? this.#appendAfter(earlier, entry) : this.#append(entry)
  }

  /** Replaces an item's data by the output of its schema, if the channel has any; see {@link MessageSchemas.parse}. */
  parseItem(item: unknown, event?: string): unknown {
    return this.schemas ? this.schemas.parse(item, event, this.context.driver.timeoutMs ?? DEFAULT_TIMEOUT_MS) : item
  }

  // Not async: that would create another promise, whose rejection would be unhandled if the caller does not await it.
  pipe(source: SSEPipeSource<SSEItem<T>>, { signal, event, parse }: SSEPipeOptions = {}): Promise<void> {
    this.#beforeWrite()
    const producer = this.context.producers.pipe(this, source, signal, parse)
    platform.keepAlive(event, producer.released())
    return producer.done
  }

  async run(producer: SSEProducer<SSEItem<T>>, options: SSERunOptions = {}): Promise<this> {
    this.#beforeWrite()
    await this.context.producers.run(this, producer as SSEProducer, options)
    return this
  }

  async stop(): Promise<void> {
    const { driver, closing } = this.context
    // Without leases there is no `run` to stop.
    if (!hasLeases(driver)) return
    const ask = () => driver.lease(this.name, { type: 'stop' }, this.retention)
    const { state } = await ask()
    if (!state?.lease) return
    let stopped = false
    await watchLease(driver, this.name, this.retention, async (now) => {
      // A producer in a later epoch never received the request to stop.
      if (!now?.lease || now.epoch !== state.epoch) return stopped = true
      // A store that was rolled back has lost the request to stop.
      if (!now.lease.stopping) await ask()
      return false
    }, closing)
    if (!stopped) throw new SSEError('SHUTTING_DOWN', `The server is shutting down. The producer of channel \`${this.name}\` was requested to stop, but may still be running.`, { statusCode: 503 })
  }

  async end(): Promise<void> {
    this.#beforeWrite()
    await this.context.driver.finish(this.name, {}, this.retention)
  }

  async fail(error: unknown): Promise<void> {
    this.#beforeWrite()
    if (isPrivateError(error)) this.context.report(error, 'channel', subjectOfChannel(this.name))
    // Not to be retried: a client that reconnects gets the same error.
    const closing = { error: { ...publicError(error), retry: false } }
    if (await this.context.driver.finish(this.name, closing, this.retention)) return
    throw new SSEError('CHANNEL_ENDED', `Expected channel \`${publicChannelName(this.name)}\` to be open, but it has already ended.`, { statusCode: 409, cause: error })
  }

  read(options: SSEReadOlderOptions): Promise<SSEReadOlderResult<T>>
  read(options?: SSEReadOptions): Promise<SSEReadResult<T>>
  async read(options: SSEReadOptions | SSEReadOlderOptions = {}): Promise<SSEReadResult<T> | SSEReadOlderResult<T>> {
    return readAsAsked<T>(this.context.driver, this.name, options)
  }

  subscribe({ after, ...options }: SSESubscribeOptions = {}): AsyncIterable<SSEMessage<T>> {
    const request = after === undefined ? undefined : parseAfter(after)
    return subscribeChannel<T>(() => this.context.hub.reader(this.name, request, this.context.options.from), this.context, options)
  }

  snapshot<S>(load: () => S | Promise<S>): Promise<SSESnapshot<S>> {
    return snapshotOf([[undefined, this]], load)
  }

  async info(): Promise<SSEChannelInfo> {
    const { epoch, first, last, closing, lease } = await readState(this.context.driver, this.name)
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
    if (import.meta.dev) forgetRetention(this.name)
  }

  #beforeWrite(): void {
    if (import.meta.dev && this.retention.named) warnOfRetention(this.name, this.retention.named)
  }

  #encode(item: unknown, { event, key }: SSEPublishOptions = {}): PackedAppend | Promise<PackedAppend> {
    const { driver, options: { maxMessageBytes, maxPublishPerSecond }, publishRate } = this.context
    if (maxPublishPerSecond !== false) publishRate.take(this.name, maxPublishPerSecond)
    this.#beforeWrite()
    if (key !== undefined && !isName(key)) {
      throw new SSEError('INVALID_OPTION', `Expected \`key\` to be a well-formed string of 1 to ${MAX_NAME_BYTES} bytes, got ${printValue(key)}.`, { statusCode: 400 })
    }
    const encode = (parsed: unknown) => ({ ...encodePacked<PackedData>(parsed, maxMessageBytes, event, driver.takesBytes ? packData : asText), key })
    const parsed = this.parseItem(item, event)
    return parsed instanceof Promise ? parsed.then(encode) : encode(parsed)
  }

  /** Appends after all earlier publishes of this process to this channel: each takes its place when it is called. */
  async #appendAfter(earlier: Promise<void> | undefined, entry: PackedAppend | Promise<PackedAppend>): Promise<string> {
    const { insight, publishing } = this.context
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    publishing.set(this.name, begun)
    try {
      const [encoded] = await Promise.allSettled([entry, earlier])
      if (encoded.status === 'fulfilled') return this.#append(encoded.value)
      insight.onPublishError(this.name, encoded.reason)
      throw encoded.reason
    }
    finally {
      if (publishing.get(this.name) === begun) publishing.delete(this.name)
      begin()
    }
  }

  async #append(entry: PackedAppend): Promise<string> {
    const { driver, insight } = this.context
    // Measured now: if the log drops the message at once, its bytes are freed.
    const size = typeof entry.data === 'string' ? entry.data : entry.data.length
    const begun = traces.publish.begin()
    try {
      const { epoch, offsets } = await driver.append(this.name, [entry], this.retention)
      const id = formatPosition(epoch, offsets[0]!)
      insight.onPublish(this.name, id, entry.event, size, begun)
      return id
    }
    catch (error) {
      insight.onPublishError(this.name, error, begun)
      throw error
    }
  }
}

/** Half a surrogate pair has no UTF-8 form: all names, or keys, that differ only there would be the same. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.isWellFormed() && byteLength(value) <= MAX_NAME_BYTES
}
