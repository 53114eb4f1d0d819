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

/** How long producers that a shutdown has stopped may take to tell their readers. */
const LAST_WORD_MS = 2_000

export interface ProducersInit extends ProducerContext {
  readonly options: ResolvedHandlerOptions
  /** Aborted when the process begins to shut down. */
  readonly closing: AbortSignal
}

/** The producers of one process, and those that it would start if another process's were lost. */
export class Producers {
  readonly #open = new Set<Producer>()
  /** Runs whose lease is being asked for. */
  readonly #starting = platform.joinable<Promise<boolean>>()
  readonly #standbys: Standbys
  /** Once a shutdown has stopped all producers: the reason for those that begin later. */
  #ending?: SSEError

  constructor(private readonly init: ProducersInit) {
    const { driver, closing, report, options: { leaseMs } } = init
    this.#standbys = new Standbys({ driver, leaseMs, closing, report, start: (...args) => this.#startOnce(...args) })
  }

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
  async noteReader({ name, retention }: Pick<ProducedChannel, 'name' | 'retention'>): Promise<LogState | undefined> {
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
    if (asked) return asked
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
    platform.keepAlive(options.event, produced.through())
    return true
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
