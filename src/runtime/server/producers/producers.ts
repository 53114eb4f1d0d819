import { SSEError, invalidOption } from '../../shared/errors'
import { formatPosition } from '../../shared/position'
import { check, functionOf, oneOf } from '../../shared/rules'
import { aborted } from '../lib/abort'
import { PRODUCER_LOST } from '../drivers/errors'
import { leasing } from '../drivers/capabilities'
import type { LogState } from '../drivers/types'
import { platform } from '../lib/platform/platform'
import { ACQUIRE_RETRY, acquireLease, shuttingDown } from './acquire'
import { Lease } from './lease'
import type { RunOptions, SSEProducer } from './run'
import { Standbys } from './standbys'
import type { ResolvedHandlerOptions } from '../options'
import { Producer } from './producer'
import type { ProducedChannel, ProducerContext, ProducerInit } from './producer'
import type { SSEPipeSource } from './pump'
import type { SSEPipeParse } from './event-stream-reader'
import { settled } from '../lib/within'
import { pause } from '../lib/tick'

/** Milliseconds that producers stopped by a shutdown have to end their channels. */
const STOP_TIMEOUT_MS = 2_000

export interface ProducersInit extends ProducerContext {
  readonly options: ResolvedHandlerOptions
  /** Aborted when the process begins to shut down. */
  readonly closing: AbortSignal
}

/** Producers of one process, and those that it starts if another process loses its own. */
export class Producers {
  readonly #open = new Set<Producer>()
  /** Runs whose lease is being acquired. */
  readonly #starting = platform.joinable<Promise<boolean>>()
  readonly #standbys: Standbys
  /** Set once a shutdown has stopped all producers: the reason for those that begin later. */
  #ending?: SSEError

  constructor(private readonly init: ProducersInit) {
    const { driver, closing, report, options: { leaseMs } } = init
    this.#standbys = new Standbys({ driver, leaseMs, closing, report, start: (...args) => this.#startOnce(...args) })
  }

  /** Number of producers in this process. */
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

  /**
   * Resolves when this or another process holds the channel's lease, or the channel has ended. Rejects when the driver cannot be reached,
   * or has no leases.
   */
  async run(channel: ProducedChannel, producer: SSEProducer, options: RunOptions): Promise<void> {
    check('producer', producer, functionOf('that returns a source'))
    if (![undefined, 'attach', 'restart'].includes(options.ifEnded)) throw invalidOption('ifEnded', `\`"attach"\` or \`"restart"\`${options.ifEnded as string === 'anew' ? ', the new name of `"anew"`' : ''}`, options.ifEnded)
    if (options.onLost !== undefined) check('onLost', options.onLost, oneOf('fail', 'restart'))
    if (this.init.closing.aborted) throw shuttingDown('The server is shutting down: no producer can start.')
    await this.#startOnce(channel, producer, options)
  }

  /**
   * Records that a run is being read. Resolves with the state of its channel, if it exists. Rejects with `NOT_SUPPORTED` if the driver has
   * no leases.
   */
  async noteReader({ name, retention }: Pick<ProducedChannel, 'name' | 'retention'>): Promise<LogState | undefined> {
    const { state } = await leasing(this.init.driver).lease(name, { type: 'look', reading: true }, retention)
    return state
  }

  /** Producers of this process that start or run. */
  get inFlight(): Promise<unknown>[] {
    return [...this.#starting.values(), ...[...this.#open].map(({ done }) => done)]
  }

  /** Stops all producers, including those that begin later. Resolves when their channels have ended, or after two seconds. */
  async stop(): Promise<void> {
    this.#ending = shuttingDown('The server shut down before the stream was complete.')
    for (const producer of this.#open) producer.abort(this.#ending)
    await settled(() => this.inFlight, STOP_TIMEOUT_MS)
  }

  /**
   * Ends producers whose request was cancelled without a sign, as some platforms do, and informs their readers. Returns `true` if a second
   * call is needed.
   */
  endAbandoned(): boolean {
    let late = false
    for (const producer of this.#open) {
      const state = producer.checkRequest()
      if (state === 'late') late = true
      if (state !== 'gone') continue
      this.#open.delete(producer)
      producer.abandon().catch(this.init.report)
    }
    return late
  }

  /** Coalesces concurrent starts of the same run: per process; per request on Workers. Resolves with whether it was started here. */
  #startOnce(channel: ProducedChannel, producer: SSEProducer, options: RunOptions): Promise<boolean> {
    const key = `${options.ifEnded} ${channel.name}`
    const known = this.#starting.get(key)
    if (known) return known
    const starting = this.#start(channel, producer, options).finally(() => this.#starting.delete(key))
    this.#starting.set(key, starting)
    return starting
  }

  async #start(channel: ProducedChannel, producer: SSEProducer, options: RunOptions): Promise<boolean> {
    const { ifEnded, epoch } = options
    const lease = this.#leaseOf(channel, options)
    const { held, state } = await acquireLease(lease, { restart: ifEnded === 'restart', epoch, closing: this.init.closing })
    if (!held || !state) {
      this.#standbys.add(channel, producer, options)
      return false
    }
    const place = { position: formatPosition(state.epoch, state.last), offset: state.last }
    const produced = this.#produce(channel, signal => producer({ signal, ...place }), { lease })
    produced.done.catch((error) => {
      if (!hasCode(error, 'LEASE_LOST')) return
      if (lease.used) this.#standbys.add(channel, producer, options)
      else this.#afterUnusedLease(channel, producer, options).catch(this.init.report)
    })
    platform.keepAlive(options.event, produced.released())
    return true
  }

  /**
   * Informs readers, or starts again, after a lease was lost before its first use. The log has no trace of such a lease, so no other
   * process does it.
   */
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
