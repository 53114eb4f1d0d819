import type { Connection } from '../connection/connection'
import type { ConnectionContext } from '../connection/context'
import type { LogDriver } from '../drivers/types'
import type { ResolvedHandlerOptions } from '../options'
import { Admissions } from '../limits/admission'
import { createMemoryDriver } from '../drivers/memory/memory'
import { createProcessDriver } from '../drivers/process-driver'
import { makeErrorsKnownToH3 } from '../http/response'
import { Heartbeats } from '../connection/heartbeat'
import { Hub } from '../hub/hub'
import { Insight } from '../insight/insight'
import type { PlatformLimits } from '../lib/platform/contract'
import { platform } from '../lib/platform/platform'
import { PublishRate } from '../limits/publish-rate'
import { Producers } from '../producers/producers'
import { settled } from '../lib/within'
import type { ProcessDriver } from '../drivers/process-driver'

/** All that one process has of this package: made once, passed on, never imported. */
export interface SSEContext extends ConnectionContext<Connection> {
  /** The module's options, which a handler's own override. */
  readonly options: ResolvedHandlerOptions
  /** The platform's limits, within which handlers' options are brought. */
  readonly limits: PlatformLimits
  readonly driver: ProcessDriver
  readonly hub: Hub
  /** Who may come in. */
  readonly admissions: Admissions
  readonly publishRate: PublishRate
  /** Aborted when the process begins to shut down: newcomers are turned away, and nobody waits any longer. */
  readonly closing: AbortSignal
  /** Sources on their way into channels, which a shutdown waits for. */
  readonly producers: Producers
  /**
   * Turns newcomers away, answers waiting polls, and asks the clients of all streams to come back. Resolves when everything that this has
   * set off is through (clean-ups, sources, writes) or `shutdownMs` are over; producers are stopped then. Requests under way may still publish. Safe to call twice.
   */
  leave(): Promise<void>
  /** Does the same, and closes the driver behind the last write. Safe to call twice. */
  close(): Promise<void>
}

export interface SSEContextInit {
  options: ResolvedHandlerOptions
  limits?: PlatformLimits
  driver?: LogDriver
  report?(error: unknown, subject?: string): void
}

export function createSSEContext({ options, limits = {}, driver: store = createMemoryDriver(options.retention), report = reportToConsole }: SSEContextInit): SSEContext {
  makeErrorsKnownToH3()
  const driver = createProcessDriver(store)
  const tracked = new Set<Promise<unknown>>()
  const connections = new Set<Connection>()
  const closing = platform.newSignal()
  const over = platform.newSignal()
  const insight = new Insight(report)
  const reportTo: SSEContext['report'] = (error, where = 'background', subject) => {
    report(error, subject)
    insight.onError(error, where)
  }
  const producers = new Producers({ options, driver, insight, report: reportTo, closing: closing.signal, over: over.signal })
  const hub = new Hub(driver)
  let left: Promise<void> | undefined
  let closed: Promise<void> | undefined
  const writing = () => driver.writing ? [driver.writing] : []
  async function leaveNow(): Promise<void> {
    closing.abort()
    leaveAll(connections, reportTo)
    await settled(() => [...tracked, ...producers.underWay, ...writing()], options.shutdownMs)
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
    limits,
    driver,
    hub,
    admissions: new Admissions(options),
    publishRate: new PublishRate(),
    heartbeats: platform.timers(() => new Heartbeats(reportTo)),
    connections,
    insight,
    report: reportTo,
    track(promise) {
      tracked.add(promise)
      void promise.finally(() => tracked.delete(promise))
    },
    endAbandoned: platform.watchAbandoned(connections, () => {
      hub.lookForLost()
      return producers.endAbandoned()
    }),
    closing: closing.signal,
    producers,
    leave,
    close() {
      return closed ??= closeAll().catch(report)
    },
  }
}

function reportToConsole(error: unknown, subject?: string): void {
  console.error('[nuxt-sse]', ...subject ? [`${subject}:`] : [], error)
}

/** How many clients a second a process that goes may send to the others: 10,000 come back within 20 s. */
const RECONNECTS_PER_SECOND = 500

/** Asks all clients to come back, spread over the time that their number needs, and over `retryMs` at least. */
export function leaveAll(connections: Set<Connection>, report: (error: unknown) => void): void {
  const open = [...connections]
  const spreadMs = open.length * 1_000 / RECONNECTS_PER_SECOND
  for (const connection of open) {
    try {
      connection.leave(Math.ceil(Math.random() * Math.max(connection.options.retryMs, spreadMs)))
    }
    catch (error) {
      report(error)
    }
  }
}
