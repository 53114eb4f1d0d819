import type { Connection, ConnectionContext } from './connection'
import type { LogDriver } from './drivers/types'
import type { ResolvedHandlerOptions } from './options'
import { Admissions } from './admission'
import { createMemoryDriver } from './drivers/memory'
import { Heartbeats, OwnHeartbeats } from './heartbeat'
import { Hub } from './hub'
import { Insight } from './insight'
import type { PlatformLimits } from './limits'
import { PublishRate } from './publish-rate'
import { Producers } from './producers'
import { NEVER_ABORTED, REQUESTS_OWN_IO, endAbandoned, everyPulse } from './request-io'
import { leaveAll } from './shutdown'

/** All that one process has of this package: made once, passed on, never imported. */
export interface SSEContext extends ConnectionContext {
  /** The module's options, which a handler's own override. */
  readonly options: ResolvedHandlerOptions
  /** The platform's limits, within which handlers' options are brought. */
  readonly limits: PlatformLimits
  readonly driver: LogDriver
  readonly hub: Hub
  /** Who may come in. */
  readonly admissions: Admissions
  readonly publishRate: PublishRate
  /** Aborted when the process begins to shut down: newcomers are turned away, and nobody waits any longer. */
  readonly closing: AbortSignal
  /** Sources on their way into channels, which a shutdown waits for. */
  readonly producers: Producers
  /** Turns newcomers away, answers waiting polls, and asks the clients of all streams to come back. Requests under way may still publish. Safe to call twice. */
  leave(): void
  /** Does the same, gives producers `shutdownMs` to finish, stops them, and closes the driver last. Safe to call twice. */
  close(): Promise<void>
}

export interface SSEContextInit {
  options: ResolvedHandlerOptions
  limits?: PlatformLimits
  driver?: LogDriver
  report?(error: unknown, subject?: string): void
}

export function createSSEContext({ options, limits = {}, driver = createMemoryDriver(options.retention), report = reportToConsole }: SSEContextInit): SSEContext {
  const connections = new Set<Connection>()
  const closing = newSignal()
  const over = newSignal()
  const insight = new Insight(report)
  const reportTo: SSEContext['report'] = (error, where = 'background', subject) => {
    report(error, subject)
    insight.onError(error, where)
  }
  const producers = new Producers({ options, driver, insight, report: reportTo, closing: closing.signal, over: over.signal })
  const hub = new Hub(driver)
  let produced: Promise<void> | undefined
  let closed: Promise<void> | undefined
  function leave(): void {
    if (closing.signal.aborted) return
    closing.abort()
    leaveAll(connections)
    produced = producers.end(options.shutdownMs)
  }
  async function closeAll(): Promise<void> {
    leave()
    await produced
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
    heartbeats: REQUESTS_OWN_IO ? new OwnHeartbeats() : new Heartbeats(),
    connections,
    insight,
    report: reportTo,
    endAbandoned: REQUESTS_OWN_IO
      ? everyPulse(() => {
          endAbandoned(connections)
          hub.lookForLost()
          return producers.endAbandoned()
        })
      : undefined,
    closing: closing.signal,
    producers,
    leave,
    close() {
      return closed ??= closeAll().catch(report)
    },
  }
}

/** Belongs to the process, and so not to the request that happens to be the first. */
function newSignal(): Pick<AbortController, 'signal' | 'abort'> {
  return REQUESTS_OWN_IO ? { signal: NEVER_ABORTED, abort() {} } : new AbortController()
}

function reportToConsole(error: unknown, subject?: string): void {
  console.error('[nuxt-sse]', ...subject ? [`${subject}:`] : [], error)
}
