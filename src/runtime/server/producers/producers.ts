import { SSEError, invalidOption } from '../../shared/errors'
import { formatPosition } from '../../shared/position'
import { check, functionOf, oneOf } from '../../shared/rules'
import { aborted } from '../lib/abort'
import type { AsyncContext } from '../lib/async-context'
import { captureContext, outside } from '../lib/async-context'
import { PRODUCER_LOST } from '../drivers/lease-lost'
import { leasing } from '../drivers/leasing-driver'
import type { LeaseAnswer, LogOnLost, LogState } from '../drivers/types'
import { keepAlive } from '../lib/keep-alive'
import type { KeptRequest } from '../lib/keep-alive'
import { Lease, watchLease } from './lease'
import type { ResolvedHandlerOptions, SSERetention } from '../options'
import { Producer } from './producer'
import type { ProducerContext, ProducerInit } from './producer'
import type { SSEPipeSource } from './pump'
import type { SSEPipeParse } from './event-stream-reader'
import { REQUESTS_OWN_IO } from '../lib/request-io'
import { retryDelayMs } from '../lib/retry'
import { settled } from '../lib/settled'
import { pause } from '../lib/tick'

/** When a lease is asked for again that another process may have without knowing it. */
const ACQUIRE_RETRY = { firstMs: 20, maxMs: 200 }
/** How long producers that a shutdown has stopped may take to tell their readers. */
const LAST_WORD_MS = 2_000

/** What a producer is given. */
export interface SSERun {
  /** Aborted when it must stop: `channel.stop()`, a lease that was lost, a shutdown. Hand it to `fetch`. */
  readonly signal: AbortSignal
  /** Where the channel ends, before the first message of this producer. */
  readonly position: string
  /** How many messages the channel has had already: 0 unless something was published, or an earlier producer was lost on the way. */
  readonly offset: number
}

/** Returns the source whose items are published, or a promise of it. */
export type SSEProducer<Item = unknown> = (run: SSERun) => SSEPipeSource<Item> | Promise<SSEPipeSource<Item>>

export interface SSERunOptions {
  /** On a channel that has ended: `attach` starts nothing, and readers get what is kept and its end; `restart` forgets it, and begins a new epoch. @default 'attach' */
  ifEnded?: 'attach' | 'restart'
  /**
   * What happens when the producer's process is gone: `fail` ends the channel with `PRODUCER_LOST`; with `restart`, any process that
   * has called `run` starts its own producer, and tells it where the channel ends. @default 'fail'
   */
  onLost?: LogOnLost
  /** The current request. Its `waitUntil` keeps the producer alive on platforms that freeze a process once it has responded. */
  event?: KeptRequest
}

/** With what only `resumable` asks for. */
export interface RunOptions extends SSERunOptions {
  /** See `LeaseInit`. */
  unreadMs?: number | false
  /** Of the log that begins with this. */
  epoch?: string
}

export interface ProducersInit extends ProducerContext {
  readonly options: ResolvedHandlerOptions
  /** Aborted when the process begins to shut down. */
  readonly closing: AbortSignal
}

interface ProducedChannel {
  readonly name: string
  readonly retention: SSERetention
}

interface Standby {
  /** Of the request that has given the producer. */
  context: AsyncContext
  producer: SSEProducer
  options: RunOptions
}

/** The producers of one process, and those that it would start if another process's were lost. */
export class Producers {
  readonly #open = new Set<Producer>()
  /** Runs whose lease is being asked for. */
  readonly #starting = new Map<string, Promise<boolean>>()
  readonly #standbys = new Map<string, Standby>()
  /** Once a shutdown has stopped all producers: the reason for those that begin later. */
  #ending?: SSEError

  constructor(private readonly init: ProducersInit) {}

  /** Under way in this process. */
  get size(): number {
    return this.#open.size
  }

  pipe(channel: ProducedChannel, source: SSEPipeSource, signal?: AbortSignal, parse?: SSEPipeParse): Producer {
    const producer = this.#produce(channel, () => source, { parse })
    const stop = () => producer.abort(aborted(signal!.reason))
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop)
    const off = () => signal?.removeEventListener('abort', stop)
    producer.done.then(off, off)
    return producer
  }

  /** Resolves when somebody, here or elsewhere, has the channel's lease, or it has ended. Rejects when the driver cannot be reached, or has no leases. */
  async run(channel: ProducedChannel, producer: SSEProducer, options: RunOptions): Promise<void> {
    check('producer', producer, functionOf('that gives a source'))
    if (![undefined, 'attach', 'restart'].includes(options.ifEnded)) throw invalidOption('ifEnded', `\`"attach"\` or \`"restart"\`${options.ifEnded as string === 'anew' ? ', the new name of `"anew"`' : ''}`, options.ifEnded)
    if (options.onLost !== undefined) check('onLost', options.onLost, oneOf('fail', 'restart'))
    if (this.init.closing.aborted) throw shuttingDown('The server is shutting down: no producer can start.')
    await this.#startOnce(channel, producer, options)
  }

  /** Notes that a run is being read. Resolves with the state of its channel, if there is one. Rejects with `NOT_SUPPORTED` where the driver has no leases. */
  async noteReader({ name, retention }: ProducedChannel): Promise<LogState | undefined> {
    const { state } = await leasing(this.init.driver).lease(name, { type: 'look', reading: true }, retention)
    return state
  }

  /** What is under way in this process. */
  get underWay(): Promise<unknown>[] {
    return [...this.#starting.values(), ...[...this.#open].map(({ done }) => done)]
  }

  /** Stops all, as it does what begins later. Resolves when their readers were told, or have had the time for it. */
  async stop(): Promise<void> {
    this.#ending = shuttingDown('The server shut down before the stream was complete.')
    for (const producer of this.#open) producer.abort(this.#ending)
    await settled(() => this.underWay, LAST_WORD_MS)
  }

  /**
   * Where a platform ends requests without a word, their producers are lost, and readers are told. `true` where a second look is
   * needed.
   */
  endAbandoned(): boolean {
    let late = false
    for (const producer of this.#open) {
      const state = producer.feel()
      if (state === 'late') late = true
      if (state !== 'gone') continue
      this.#open.delete(producer)
      producer.abandon().catch(this.init.report)
    }
    return late
  }

  /** Callers of one process, or of one request where those end alone, that want the same at the same time ask once. Resolves with whether it was started here. */
  #startOnce(channel: ProducedChannel, producer: SSEProducer, options: RunOptions): Promise<boolean> {
    const key = `${options.ifEnded} ${channel.name}`
    const asked = this.#starting.get(key)
    if (asked && !REQUESTS_OWN_IO) return asked
    const starting = this.#start(channel, producer, options).finally(() => this.#starting.delete(key))
    this.#starting.set(key, starting)
    return starting
  }

  async #start(channel: ProducedChannel, producer: SSEProducer, options: RunOptions): Promise<boolean> {
    const { ifEnded, epoch } = options
    const lease = this.#leaseOf(channel, options)
    const { held, state } = await this.#acquire(lease, ifEnded === 'restart', epoch)
    if (!held || !state) {
      this.#standBy(channel, producer, options)
      return false
    }
    const place = { position: formatPosition(state.epoch, state.last), offset: state.last }
    const produced = this.#produce(channel, signal => producer({ signal, ...place }), { lease })
    produced.done.catch((error) => {
      if (!hasCode(error, 'LEASE_LOST')) return
      if (lease.used) this.#standBy(channel, producer, options)
      else this.#afterUnusedLease(channel, producer, options).catch(this.init.report)
    })
    keepAlive(options.event, produced.through())
    return true
  }

  /**
   * Asks for a lease until it is clear who has it. Where another process has asked for it, and perhaps never received the answer, this
   * waits until that process has used the lease, or the lease has run out.
   */
  async #acquire(lease: Lease, anew: boolean, epoch?: string): Promise<LeaseAnswer> {
    const { closing } = this.init
    for (let asked = 0; ; asked++) {
      const answer = await this.#acquireOnce(lease, anew, epoch)
      if (answer.held || !answer.state?.lease?.tentative) return answer
      await pause(retryDelayMs(ACQUIRE_RETRY, asked), closing)
      if (closing.aborted) throw shuttingDown('The server is shutting down: no producer can start.')
    }
  }

  /** Asks twice, as an answer may be lost; and gives back what may have been given to it, unheard. */
  async #acquireOnce(lease: Lease, anew: boolean, epoch?: string): Promise<LeaseAnswer> {
    try {
      return await lease.acquire(anew, epoch).catch(() => lease.acquire(anew, epoch))
    }
    catch (error) {
      lease.release().catch(() => {})
      throw error
    }
  }

  /** A lease that was lost before it was used leaves no trace in the log: the process that had it tells readers, or starts again. */
  async #afterUnusedLease(channel: ProducedChannel, producer: SSEProducer, options: RunOptions): Promise<void> {
    const { driver, over } = this.init
    while (!over.aborted && !this.#ending) {
      try {
        if (options.onLost === 'restart') return void await this.#startOnce(channel, producer, { ...options, ifEnded: 'attach' })
        const lease = this.#leaseOf(channel, options)
        const { held } = await lease.acquire(false).finally(() => lease.close())
        if (held) await driver.finish(channel.name, { error: PRODUCER_LOST.fail }, channel.retention, lease.token)
        return
      }
      catch (error) {
        if (!hasCode(error, 'DRIVER_UNAVAILABLE')) throw error
      }
      await pause(ACQUIRE_RETRY.maxMs, over)
    }
  }

  #leaseOf({ name, retention }: ProducedChannel, { onLost = 'fail', unreadMs = false }: RunOptions): Lease {
    return new Lease({ driver: leasing(this.init.driver), channel: name, retention, leaseMs: this.init.options.leaseMs, onLost, unreadMs })
  }

  /** Waits to start it here, should the producer that has the lease be lost. One for each channel: the last that was asked for. */
  #standBy({ name, retention }: ProducedChannel, producer: SSEProducer, { event, ...rest }: RunOptions): void {
    if (rest.onLost !== 'restart') return
    // Without the request, which is long over when it comes to that; unless the watch lives by it, and each request has its own.
    const options: RunOptions = REQUESTS_OWN_IO ? { event, ...rest } : rest
    const known = REQUESTS_OWN_IO ? undefined : this.#standbys.get(name)
    const standby: Standby = { context: captureContext(), producer, options }
    if (known) return void Object.assign(known, standby)
    if (!REQUESTS_OWN_IO) this.#standbys.set(name, standby)
    const { closing, options: { leaseMs }, report } = this.init
    let missedSince: number | undefined
    const over = () => void this.#standbys.delete(name)
    outside(() => void watchLease(leasing(this.init.driver), name, retention, async (state) => {
      if (!state || isOver(state)) return true
      if (!state.lease && !state.closing) {
        // The store has lost the lease, and its holder takes it again; or the channel was deleted, and nobody does.
        missedSince ??= performance.now()
        return performance.now() - missedSince > leaseMs
      }
      missedSince = undefined
      if (state.lease && state.lease.leftMs > 0) return false
      if (closing.aborted) return true
      const started = await standby.context.run(() => this.#startOnce({ name, retention }, standby.producer, { ...standby.options, ifEnded: 'attach' }))
      // Whose watch is its own has begun another, if another was faster.
      return started || REQUESTS_OWN_IO
    }, closing).catch(report).finally(over))
  }

  #produce(channel: ProducedChannel, source: (signal: AbortSignal) => unknown, rest: Pick<ProducerInit, 'lease' | 'parse'>): Producer {
    const producer = new Producer(this.init, { channel, source, maxMessageBytes: this.init.options.maxMessageBytes, ...rest })
    if (this.#ending) producer.abort(this.#ending)
    this.#open.add(producer)
    const over = () => void this.#open.delete(producer)
    producer.done.then(over, over)
    return producer
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof SSEError && error.code === code
}

/** Ended for good: not by a loss after which a producer may be restarted. */
function isOver({ closing }: LogState): boolean {
  return closing !== null && !(closing.error?.code === 'PRODUCER_LOST' && closing.error.retry)
}

function shuttingDown(message: string): SSEError {
  return new SSEError('SHUTTING_DOWN', message, { statusCode: 503 })
}
