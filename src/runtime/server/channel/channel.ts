import { formatPosition } from '../../shared/position'
import { SSEError, printValue } from '../../shared/errors'
import { publicChannelName } from '../../shared/secret-epoch'
import type { SSEMessage } from '../../shared/types'
import type { SSEContext } from '../context/context'
import { hasLeases, readState } from '../drivers/capabilities'
import type { LogRetention, SSERetention } from '../options'
import type { SSEProducer, SSERunOptions } from '../producers/run'
import type { SSEPipeSource } from '../producers/pump'
import { subjectOfChannel } from '../insight/insight'
import { platform } from '../lib/platform/platform'
import { forgetRetention, warnOfRetention } from './named-retention'
import { watchLease } from '../producers/lease'
import { resolveRetention } from '../resolve-options'
import { isPrivateError, publicError } from '../wire/public-error'
import { byteLength } from '../wire/encode'
import { parseAfter, subscribeChannel } from './read'
import { readAsAsked } from './read-options'
import type { SSEChannel, SSEChannelInfo, SSEItem, SSEPipeOptions, SSEPublishOptions, SSEReadOlderOptions, SSEReadOlderResult, SSEReadOptions, SSEReadResult, SSESubscribeOptions } from './types'
import { packData } from '../drivers/packed-data'
import type { PackedData } from '../drivers/packed-data'
import type { PackedAppend } from '../drivers/types'
import { asText, encodePacked } from '../wire/message'

/** Maximum length of a channel's name and of a key, in bytes of UTF-8. */
const MAX_NAME_BYTES = 512
/** Beginning of the names of logs that belong to presence. */
export const PRESENCE_PREFIX = 'sse:presence:'

/** Implementation of {@link SSEChannel}. The rest of the server recognises a channel by this class. */
export class Channel<T = unknown> implements SSEChannel<T> {
  declare readonly __sse: SSEMessage<T>
  readonly retention: LogRetention

  readonly name: string

  /** `prefix` is put before the name. A name without one must not begin like those. */
  constructor(protected readonly context: SSEContext, name: string, options: { retention?: Partial<SSERetention> } = {}, prefix = '') {
    if (!isName(name)) {
      throw new SSEError('INVALID_CHANNEL', `Expected the channel name to be a well-formed string of 1 to ${MAX_NAME_BYTES} bytes, got ${printValue(name)}.`, { statusCode: 400 })
    }
    if (!prefix && name.startsWith(PRESENCE_PREFIX)) throw new SSEError('INVALID_CHANNEL', `Expected the channel name not to begin with \`${PRESENCE_PREFIX}\`, got ${printValue(name)}. Use \`useSSEPresence\`.`, { statusCode: 400 })
    this.name = prefix + name
    this.retention = resolveRetention(options.retention, context.options.retention)
  }

  /**
   * Not async: an async function keeps its arguments, and so the data, while it waits. Here the message is encoded before anything waits,
   * and V8 can collect the data.
   */
  publish(data: T, options?: SSEPublishOptions): Promise<string> {
    let entry: PackedAppend
    try {
      entry = this.#encode(data, options)
    }
    catch (error) {
      this.context.insight.onPublishError(this.name, error)
      return Promise.reject(error)
    }
    return this.#append(entry)
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

  #encode(item: unknown, { event, key }: SSEPublishOptions = {}): PackedAppend {
    const { driver, options: { maxMessageBytes, maxPublishPerSecond }, publishRate } = this.context
    if (maxPublishPerSecond !== false) publishRate.take(this.name, maxPublishPerSecond)
    this.#beforeWrite()
    const entry = encodePacked<PackedData>(item, maxMessageBytes, event, driver.takesBytes ? packData : asText)
    if (key !== undefined && !isName(key)) {
      throw new SSEError('INVALID_OPTION', `Expected \`key\` to be a well-formed string of 1 to ${MAX_NAME_BYTES} bytes, got ${printValue(key)}.`, { statusCode: 400 })
    }
    return { ...entry, key }
  }

  async #append(entry: PackedAppend): Promise<string> {
    const { driver, insight } = this.context
    // Measured now: if the log drops the message at once, its bytes are freed.
    const size = typeof entry.data === 'string' ? entry.data : entry.data.length
    try {
      const { epoch, offsets } = await driver.append(this.name, [entry], this.retention)
      const id = formatPosition(epoch, offsets[0]!)
      insight.onPublish(this.name, id, entry.event, size)
      return id
    }
    catch (error) {
      insight.onPublishError(this.name, error)
      throw error
    }
  }
}

/** Half a surrogate pair has no UTF-8 form: all names, or keys, that differ only there would be the same. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.isWellFormed() && byteLength(value) <= MAX_NAME_BYTES
}
