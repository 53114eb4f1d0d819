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

/** Services of one process: created once, passed on, never imported. */
export interface SSEContext extends ConnectionContext<Connection> {
  /** Options of the module, which a handler's own override. */
  readonly options: ResolvedHandlerOptions
  /** Limits of the platform. Options of handlers are brought within them. */
  readonly limits: PlatformLimits
  readonly driver: ProcessDriver
  readonly hub: Hub
  /** Limits on open connections. */
  readonly admissions: Admissions
  readonly publishRate: PublishRate
  /** Aborted when the process begins to shut down: new requests are refused, and nothing waits any longer. */
  readonly closing: AbortSignal
  /** Producers of channels, which a shutdown waits for. */
  readonly producers: Producers
  /**
   * Refuses new requests, answers waiting polls, and instructs the clients of all streams to reconnect. Resolves when all work that this
   * causes is done (clean-ups, sources, writes), or after `shutdownMs` and the stop of the producers. Requests in flight may still publish.
   * Safe to call twice.
   */
  leave(): Promise<void>
  /** Calls {@link leave}, and closes the driver after the last write. Safe to call twice. */
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
    await settled(() => [...tracked, ...producers.inFlight, ...writing()], options.shutdownMs)
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

/** Clients per second that a process sends to the others at its shutdown: 10,000 reconnect within 20 s. */
const RECONNECTS_PER_SECOND = 500

/** Instructs all clients to reconnect, spread over a time that grows with their number and is at least `retryMs`. */
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
