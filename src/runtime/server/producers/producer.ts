import { SSEError } from '../../shared/errors'
import { createEpoch, formatPosition } from '../../shared/position'
import { publicChannelName } from '../../shared/secret-epoch'
import { bindContext } from '../lib/async-context'
import { pump } from './pump'
import type { SSEPipeParse } from './event-stream-reader'
import { PRODUCER_LOST } from '../drivers/errors'
import type { LogAppend, LogClosing, LogDriver } from '../drivers/types'
import type { SSEErrorPlace } from '../insight/hooks'
import type { Insight } from '../insight/insight'
import { subjectOfChannel } from '../insight/insight'
import type { Lease } from './lease'
import { encodeEntry } from '../wire/message'
import type { SSERetention } from '../options'
import { isForTheLog, publicError } from '../wire/public-error'
import type { Pulse } from '../lib/platform/contract'
import { platform } from '../lib/platform/platform'
import { retryDelayMs } from '../lib/delays'
import { pause } from '../lib/tick'

/** How long a pipe keeps trying a driver that cannot be reached. A run does so for as long as it has its lease. */
const PATIENCE_MS = 30_000
/** How long until an append is tried again: as often all the time, since that time is limited. */
const APPEND_RETRY_MS = 200
/** When an ending is tried again, for as long as it takes. */
const FINISH_RETRY = { firstMs: 200, maxMs: 5_000 }
/** Random characters of a writer's id: unlike any other that the driver remembers. */
const WRITER_LENGTH = 16

export interface ProducerContext {
  readonly driver: LogDriver
  readonly insight: Insight
  /** Aborted when the driver is closed: nothing can be told to anybody any more. */
  readonly over: AbortSignal
  report(error: unknown, where?: SSEErrorPlace, subject?: string): void
}

/** Channel that a producer fills. */
export interface ProducedChannel {
  readonly name: string
  readonly retention: SSERetention
  /** Checks an item, and returns the item to append; a promise of it where that takes time. */
  parseItem(item: unknown): unknown
}

export interface ProducerInit {
  channel: ProducedChannel
  /** Begins the source, or resolves with it. */
  source: (signal: AbortSignal) => unknown
  maxMessageBytes: number
  /** Of a pipe. */
  parse?: SSEPipeParse
  /** Of a run: nothing is appended without it. */
  lease?: Lease
}

/** One source on its way into a channel, from its first item to the channel's end. */
export class Producer {
  /** Resolves when the channel has ended; rejects with what made it fail. */
  readonly done: Promise<void>
  readonly #abort = new AbortController()
  /** Of the request that has begun it. */
  readonly #pulse = platform.pulse()
  #released?: Promise<void>
  readonly #writer: string
  #number = 0
  /** The driver's last word: the error of an append or an ending that was given up. */
  #refusal?: unknown

  constructor(private readonly context: ProducerContext, private readonly init: ProducerInit) {
    const { lease } = init
    this.#writer = lease?.token ?? createEpoch(WRITER_LENGTH)
    if (lease) lease.onOver = reason => this.abort(reason)
    this.done = this.#run()
    // Handled for those who do not await it: readers are told. What they may not be told, or were told of another producer, is reported.
    this.done.catch((error) => {
      if (isForTheLog(error) || isLost(error) || (isEnded(error) && !lease)) context.report(error, 'channel', subjectOfChannel(init.channel.name))
    })
  }

  /** Stops it: its source is released, and its readers are told. The first reason stands. What listens to its signal runs in the context of the request that began it. */
  readonly abort = bindContext((reason: SSEError): void => this.#abort.abort(reason))

  /** Resolves when its source, too, has let go of what it had: for as long must a request live that it belongs to. Never rejects. */
  async through(): Promise<void> {
    await this.done.catch(() => {})
    await this.#released
  }

  /** Whether the request is there to which it belongs. */
  feel(): ReturnType<Pulse['feel']> {
    return this.#pulse.feel()
  }

  /** That request is gone, and it with that: says in its place that it is lost, or lets another go on. */
  async abandon(): Promise<void> {
    const { context: { driver, report }, init: { channel: { name, retention }, lease } } = this
    lease?.abandon()
    report(new SSEError('PRODUCER_LOST', `The producer of channel \`${publicChannelName(name)}\` went with the request that has started it, before it was complete. On Cloudflare Workers it has as long as that request's client stays, and with the option \`event\` 30 s more.`, { statusCode: 503 }), 'channel')
    try {
      if (lease?.onLost === 'restart') await lease.release()
      else await driver.finish(name, { error: PRODUCER_LOST.fail }, retention, lease?.token)
    }
    catch (error) {
      // Whose lease is over counts as lost already.
      if (!isLost(error)) throw error
    }
  }

  async #run(): Promise<void> {
    const { lease, maxMessageBytes, parse, source } = this.init
    const { signal } = this.#abort
    try {
      await pump(() => source(signal), {
        signal,
        maxMessageBytes,
        parse,
        encode: item => this.#encode(item),
        append: entries => this.#append(entries),
        report: this.context.report,
        onRelease: released => this.#released = released,
      })
      await this.#finish({})
    }
    catch (error) {
      await this.#close(error).catch(this.context.report)
      throw error
    }
    finally {
      lease?.close()
      this.#pulse.stop()
    }
  }

  #encode(item: unknown): LogAppend | Promise<LogAppend> {
    const { channel, maxMessageBytes } = this.init
    const refuse = (error: unknown): never => {
      this.context.insight.onPublishError(channel.name, error)
      throw error
    }
    try {
      const parsed = channel.parseItem(item)
      return parsed instanceof Promise ? parsed.then(result => encodeEntry(result, maxMessageBytes)).catch(refuse) : encodeEntry(parsed, maxMessageBytes)
    }
    catch (error) {
      return refuse(error)
    }
  }

  async #append(entries: LogAppend[]): Promise<void> {
    const { context: { driver, insight }, init: { channel: { name, retention }, lease } } = this
    const { signal } = this.#abort
    // The same number at each attempt: what has happened and was not heard of does not happen again.
    const writer = { id: this.#writer, number: ++this.#number, leased: lease !== undefined }
    const giveUpAt = performance.now() + (lease ? Infinity : PATIENCE_MS)
    while (true) {
      try {
        const { epoch, offsets } = await driver.append(name, entries, retention, writer)
        entries.forEach(({ event, data }, index) => insight.onPublish(name, formatPosition(epoch, offsets[index]!), event, data))
        return
      }
      catch (error) {
        const again = !signal.aborted && (isUnavailable(error) ? performance.now() < giveUpAt : await this.#mayHold(error))
        if (!again) {
          insight.onPublishError(name, error)
          throw this.#refusal = signal.aborted ? signal.reason : error
        }
      }
      await pause(APPEND_RETRY_MS, signal)
    }
  }

  /** Tells readers how it ended, or they would wait for ever; unless the channel is another producer's by now, or has ended. */
  async #close(error: unknown): Promise<void> {
    const { lease } = this.init
    // A source may fail with these codes as well: it may publish to another channel, or come from another server.
    const isOwn = error === this.#refusal || error === this.#abort.signal.reason
    if (isOwn && (isLost(error) || isEnded(error))) return
    if (isOwn && lease?.onLost === 'restart' && error instanceof SSEError && error.code === 'SHUTTING_DOWN') return lease.release()
    return this.#finish({ error: { ...publicError(error), retry: false } })
  }

  async #finish(closing: LogClosing): Promise<void> {
    const { context: { driver, over }, init: { channel: { name, retention }, lease } } = this
    for (let failures = 0; ; failures++) {
      try {
        return void await driver.finish(name, closing, retention, lease?.token)
      }
      catch (error) {
        if (over.aborted || !(isUnavailable(error) || await this.#mayHold(error))) throw this.#refusal = error
      }
      await pause(retryDelayMs(FINISH_RETRY, failures), over)
    }
  }

  /** Whether the lease is held after all: a store that has lost all data gives it again to the holder who renews it. */
  async #mayHold(error: unknown): Promise<boolean> {
    const { lease } = this.init
    return lease !== undefined && isLost(error) && await lease.renew() !== false
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof SSEError && error.code === 'DRIVER_UNAVAILABLE'
}

function isEnded(error: unknown): boolean {
  return error instanceof SSEError && error.code === 'CHANNEL_ENDED'
}

function isLost(error: unknown): boolean {
  return error instanceof SSEError && error.code === 'LEASE_LOST'
}
