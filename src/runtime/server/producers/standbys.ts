import type { LogDriver, LogState } from '../drivers/types'
import { leasing } from '../drivers/capabilities'
import type { AsyncContext } from '../lib/async-context'
import { captureContext, outside } from '../lib/async-context'
import { REQUESTS_OWN_IO } from '../lib/request-io'
import type { SSERetention } from '../options'
import { watchLease } from './lease'
import type { RunOptions, SSEProducer } from './run'

interface StandbysInit {
  readonly driver: LogDriver
  readonly leaseMs: number
  /** Aborted when the process begins to shut down. */
  readonly closing: AbortSignal
  /** Where errors go that nothing awaits. */
  report(error: unknown): void
  /** Starts a producer whose channel has lost its own. Resolves with whether it was started here. */
  start(channel: { name: string, retention: SSERetention }, producer: SSEProducer, options: RunOptions): Promise<boolean>
}

interface Standby {
  /** Async context of the request that has given the producer. */
  context: AsyncContext
  producer: SSEProducer
  options: RunOptions
}

/** Producers that start in this process if another process's are lost (`onLost: 'restart'`). */
export class Standbys {
  readonly #waiting = new Map<string, Standby>()

  constructor(private readonly init: StandbysInit) {}

  /** Waits for the loss of the channel's producer. One for each channel: the last that was asked for. */
  add({ name, retention }: { name: string, retention: SSERetention }, producer: SSEProducer, { event, ...rest }: RunOptions): void {
    if (rest.onLost !== 'restart') return
    // Without the request, which is long over by then; unless the watch lives by it, and each request has its own.
    const options: RunOptions = REQUESTS_OWN_IO ? { event, ...rest } : rest
    const known = REQUESTS_OWN_IO ? undefined : this.#waiting.get(name)
    const standby: Standby = { context: captureContext(), producer, options }
    if (known) return void Object.assign(known, standby)
    if (!REQUESTS_OWN_IO) this.#waiting.set(name, standby)
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
      const started = await standby.context.run(() => this.init.start({ name, retention }, standby.producer, { ...standby.options, ifEnded: 'attach' }))
      // A watch of its own request has begun another, if another was faster.
      return started || REQUESTS_OWN_IO
    }, closing).catch(report).finally(over))
  }
}

/** Ended for good: not by a loss after which a producer may be restarted. */
function isOver({ closing }: LogState): boolean {
  return closing !== null && !(closing.error?.code === 'PRODUCER_LOST' && closing.error.retry)
}
