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
import { traces } from '../insight/traces'
import type { Lease } from './lease'
import { encodeEntry } from '../wire/message'
import type { SSERetention } from '../options'
import { isForTheLog, publicError } from '../wire/public-error'
import type { Pulse } from '../lib/platform/contract'
import { platform } from '../lib/platform/platform'
import { retryDelayMs } from '../lib/delays'
import { pause } from '../lib/tick'

/** Milliseconds for which a pipe retries while the driver cannot be reached. A run retries for as long as it holds its lease. */
const PIPE_RETRY_MS = 30_000
/** Milliseconds until an append is retried: constant, since the time for retries is limited. */
const APPEND_RETRY_MS = 200
/** Delays between attempts to end a channel, which are repeated without limit. */
const FINISH_RETRY = { firstMs: 200, maxMs: 5_000 }
/** Length of a writer's random ID, in characters: long enough to differ from every ID that the driver remembers. */
const WRITER_LENGTH = 16

export interface ProducerContext {
  readonly driver: LogDriver
  readonly insight: Insight
  /** Aborted when the driver is closed: no channel can be written to after that. */
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
  /** Returns the source, or a promise of it. */
  source: (signal: AbortSignal) => unknown
  maxMessageBytes: number
  /** Parser, for a pipe of bytes. */
  parse?: SSEPipeParse
  /** Lease, for a run: without it, nothing is appended. */
  lease?: Lease
}

/** One source that is published on a channel, from its first item to the channel's end. */
export class Producer {
  /** Resolves when the channel has ended. Rejects with the error that made it fail. */
  readonly done: Promise<void>
  readonly #abort = new AbortController()
  /** Pulse of the request that started it. */
  readonly #pulse = platform.pulse()
  #released?: Promise<void>
  readonly #writer: string
  #number = 0
  /** Error of an append or an ending that was given up. */
  #refusal?: unknown

  constructor(private readonly context: ProducerContext, private readonly init: ProducerInit) {
    const { lease } = init
    this.#writer = lease?.token ?? createEpoch(WRITER_LENGTH)
    if (lease) lease.onStop = reason => this.abort(reason)
    this.done = this.#run()
    // Readers receive the failure, so the promise need not be awaited. Failures whose text readers must not see, and failures of this
    // producer that do not end the channel, are reported.
    this.done.catch((error) => {
      if (isForTheLog(error) || isLost(error) || (isEnded(error) && !lease)) context.report(error, 'channel', subjectOfChannel(init.channel.name))
    })
  }

  /**
   * Stops it: the source is released, and the channel ends with the reason. Only the first reason counts. Listeners of the signal run in
   * the context of the request that started it.
   */
  readonly abort = bindContext((reason: SSEError): void => this.#abort.abort(reason))

  /** Resolves when the channel has ended and the source is released. Its request must live until then. Never rejects. */
  async released(): Promise<void> {
    await this.done.catch(() => {})
    await this.#released
  }

  /** Checks whether the request that it belongs to still runs. */
  checkRequest(): ReturnType<Pulse['check']> {
    return this.#pulse.check()
  }

  /** Called when its request was cancelled, and the source with it. Ends the channel as lost, or lets another process continue. */
  async abandon(): Promise<void> {
    const { context: { driver, report }, init: { channel: { name, retention }, lease } } = this
    lease?.abandon()
    report(new SSEError('PRODUCER_LOST', `The producer of channel \`${publicChannelName(name)}\` stopped before it was complete, because the request that started it ended. On Cloudflare Workers, a producer runs until the client of that request disconnects. Pass the option \`event\` for 30 s more.`, { statusCode: 503 }), 'channel')
    try {
      if (lease?.onLost === 'restart') await lease.release()
      else await driver.finish(name, { error: PRODUCER_LOST.fail }, retention, lease?.token)
    }
    catch (error) {
      // Without a valid lease it counts as lost already.
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
    // Each attempt has the same number: an append that succeeded without an answer is not repeated.
    const writer = { id: this.#writer, number: ++this.#number, leased: lease !== undefined }
    const giveUpAt = performance.now() + (lease ? Infinity : PIPE_RETRY_MS)
    const begun = traces.publish.begin()
    while (true) {
      try {
        const { epoch, offsets } = await driver.append(name, entries, retention, writer)
        entries.forEach(({ event, data }, index) => insight.onPublish(name, formatPosition(epoch, offsets[index]!), event, data, begun))
        return
      }
      catch (error) {
        const mayRetry = !signal.aborted && (isUnavailable(error) ? performance.now() < giveUpAt : await this.#mayHold(error))
        if (!mayRetry) {
          insight.onPublishError(name, error, begun)
          throw this.#refusal = signal.aborted ? signal.reason : error
        }
      }
      await pause(APPEND_RETRY_MS, signal)
    }
  }

  /**
   * Ends the channel with the error, or readers would wait forever. Does nothing if the channel belongs to another producer by now, or has
   * ended.
   */
  async #close(error: unknown): Promise<void> {
    const { lease } = this.init
    // A source may fail with these codes as well, if it publishes to another channel or reads another server.
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

  /** Whether the lease is still held: a store that has lost all data grants it again to a holder that renews it. */
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
