import { createMemoryDriver } from '../drivers/memory/memory'
import { createProcessDriver } from '../drivers/process-driver'
import type { ProcessDriver } from '../drivers/process-driver'
import type { LogDriver } from '../drivers/types'
import { Hub } from '../hub/hub'
import type { SSEErrorPlace } from '../insight/hooks'
import { Insight } from '../insight/insight'
import type { DescribeRequest } from '../insight/insight'
import { platform } from '../lib/platform/platform'
import { settled } from '../lib/within'
import { PublishRate } from '../limits/publish-rate'
import type { ResolvedHandlerOptions } from '../options'
import { Producers } from '../producers/producers'

/** What channels need of their process. A server's context has more; a publisher's has nothing else. */
export interface ChannelContext {
  /** Module options, which a handler's own override. */
  readonly options: ResolvedHandlerOptions
  readonly driver: ProcessDriver
  readonly hub: Hub
  readonly publishRate: PublishRate
  /**
   * By channel, the newest publish whose append has not begun, because a schema is asynchronous. Later publishes wait for it. Resolves when
   * the append has begun, or the message was refused; never rejects.
   */
  readonly publishing: Map<string, Promise<void>>
  /** Aborted when the process begins to shut down: new requests are refused, and waits end. */
  readonly closing: AbortSignal
  /** Sources that are filling channels. A shutdown waits for them. */
  readonly producers: Producers
  readonly insight: Insight
  /** Reports an error that no caller awaits. Default of `where`: `background`. `subject` names the route or the channel in the log. */
  report(error: unknown, where?: SSEErrorPlace, subject?: string): void
  /**
   * Begins the shutdown. Resolves when everything that it has set off is done (clean-ups, sources, writes), or after `shutdownMs`. Then
   * producers are stopped. Requests in flight may still publish. Safe to call twice.
   */
  leave(): Promise<void>
  /** Calls {@link leave}, and closes the driver after the last write. Safe to call twice. */
  close(): Promise<void>
}

export interface ChannelContextInit {
  options: ResolvedHandlerOptions
  driver?: LogDriver
  report?(error: unknown, subject?: string): void
  /** Names requests in hooks and logs. */
  describe?: DescribeRequest
}

/** Work of a process besides its channels, for the shutdown. */
export interface ShutdownWork {
  begin(): void
  inFlight(): Promise<unknown>[]
}

export function createChannelContext({ options, driver: store = createMemoryDriver(options.retention), report = reportToConsole, describe }: ChannelContextInit, work?: ShutdownWork): ChannelContext {
  const driver = createProcessDriver(store)
  const closing = platform.newSignal()
  const over = platform.newSignal()
  const insight = new Insight(report, describe)
  const reportTo: ChannelContext['report'] = (error, where = 'background', subject) => {
    report(error, subject)
    insight.onError(error, where)
  }
  const producers = new Producers({ options, driver, insight, report: reportTo, closing: closing.signal, over: over.signal })
  const publishing = platform.joinable<Promise<void>>()
  let left: Promise<void> | undefined
  let closed: Promise<void> | undefined
  const writing = () => [...publishing.values(), ...driver.writing ? [driver.writing] : []]
  async function leaveNow(): Promise<void> {
    closing.abort()
    work?.begin()
    await settled(() => [...work?.inFlight() ?? [], ...producers.inFlight, ...writing()], options.shutdownMs)
    await producers.stop()
  }
  const leave = () => left ??= leaveNow()
  async function closeAll(): Promise<void> {
    await leave()
    await settled(writing, options.shutdownMs)
    over.abort()
    await driver.close()
  }
  return {
    options,
    driver,
    hub: new Hub(driver),
    publishRate: new PublishRate(),
    publishing,
    closing: closing.signal,
    producers,
    insight,
    report: reportTo,
    leave,
    close() {
      return closed ??= closeAll().catch(report)
    },
  }
}

function reportToConsole(error: unknown, subject?: string): void {
  console.error('[nuxt-sse]', ...subject ? [`${subject}:`] : [], error)
}
