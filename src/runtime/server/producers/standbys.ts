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
  /** Where errors go that nothing awaits. */
  report(error: unknown): void
  /** Starts a producer whose channel has lost its own. Resolves with whether it was started here. */
  start(channel: ProducedChannel, producer: SSEProducer, options: RunOptions): Promise<boolean>
}

interface Standby {
  /** Async context of the request that has given the producer. */
  context: AsyncContext
  /** Handle through which the producer publishes: it may have schemas. */
  channel: ProducedChannel
  producer: SSEProducer
  options: RunOptions
}

/** Producers that start in this process if another process's are lost (`onLost: 'restart'`). */
export class Standbys {
  readonly #waiting = platform.joinable<Standby>()

  constructor(private readonly init: StandbysInit) {}

  /** Waits for the loss of the channel's producer. One for each channel: the last that was asked for. */
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
        // The store has lost the lease, and its holder takes it again; or the channel was deleted, and nothing does.
        missedSince ??= performance.now()
        return performance.now() - missedSince > leaseMs
      }
      missedSince = undefined
      if (state.lease && state.lease.leftMs > 0) return false
      if (closing.aborted) return true
      const started = await standby.context.run(() => this.init.start(standby.channel, standby.producer, { ...standby.options, ifEnded: 'attach' }))
      // A start that another was faster than has begun a watch of its own, unless it could join this one.
      return started || this.#waiting.get(name) !== standby
    }, closing).catch(report).finally(over))
  }
}

/** Ended for good: not by a loss after which a producer may be restarted. */
function isOver({ closing }: LogState): boolean {
  return closing !== null && !(closing.error?.code === 'PRODUCER_LOST' && closing.error.retry)
}
