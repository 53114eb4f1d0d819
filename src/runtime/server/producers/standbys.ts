import type { LogDriver, LogState } from '../drivers/types'
import { leasing } from '../drivers/capabilities'
import type { AsyncContext } from '../lib/async-context'
import { captureContext, outside } from '../lib/async-context'
import { platform } from '../lib/platform/platform'
import { watchLease } from './lease'
import type { ProducedChannel } from './producer'
import type { RunOptions, SSEProducer } from './run'

interface StandbysInit {
  readonly driver: LogDriver
  readonly leaseMs: number
  /** Aborted when the process begins to shut down. */
  readonly closing: AbortSignal
  /** Reports an error that no caller receives. */
  report(error: unknown): void
  /** Starts a producer after its channel has lost the previous one. Resolves with whether it was started here. */
  start(channel: ProducedChannel, producer: SSEProducer, options: RunOptions): Promise<boolean>
}

interface Standby {
  /** Async context of the request that provided the producer. */
  context: AsyncContext
  /** Handle through which the producer publishes: it may have schemas. */
  channel: ProducedChannel
  producer: SSEProducer
  options: RunOptions
}

/** Producers that start in this process if another process loses its own (`onLost: 'restart'`). */
export class Standbys {
  readonly #waiting = platform.joinable<Standby>()

  constructor(private readonly init: StandbysInit) {}

  /** Waits for the loss of the channel's producer. Each channel has one standby: the most recent. */
  add(channel: ProducedChannel, producer: SSEProducer, { event, ...rest }: RunOptions): void {
    if (rest.onLost !== 'restart') return
    const { name, retention } = channel
    const standby: Standby = { context: captureContext(), channel, producer, options: { event: platform.outliving(event), ...rest } }
    const known = this.#waiting.get(name)
    if (known) return void Object.assign(known, standby)
    this.#waiting.set(name, standby)
    const { closing, driver, leaseMs, report } = this.init
    let missedSince: number | undefined
    const over = () => void this.#waiting.delete(name)
    outside(() => void watchLease(leasing(driver), name, retention, async (state) => {
      if (!state || isOver(state)) return true
      if (!state.lease && !state.closing) {
        // The store has lost the lease, and its holder renews it soon. Or the channel was deleted, and no holder exists.
        missedSince ??= performance.now()
        return performance.now() - missedSince > leaseMs
      }
      missedSince = undefined
      if (state.lease && state.lease.leftMs > 0) return false
      if (closing.aborted) return true
      const started = await standby.context.run(() => this.init.start(standby.channel, standby.producer, { ...standby.options, ifEnded: 'attach' }))
      // If another process was faster, that start began a watch of its own, unless it joined this one.
      return started || this.#waiting.get(name) !== standby
    }, closing).catch(report).finally(over))
  }
}

/** Whether the channel has ended permanently, and not by a loss after which a producer may restart. */
function isOver({ closing }: LogState): boolean {
  return closing !== null && !(closing.error?.code === 'PRODUCER_LOST' && closing.error.retry)
}
