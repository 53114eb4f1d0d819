import type { Connection, ConnectionContext } from './connection'
import type { LogDriver } from './drivers/types'
import type { ResolvedHandlerOptions } from './options'
import { Admissions } from './admission'
import { createMemoryDriver } from './drivers/memory'
import { Heartbeats } from './heartbeat'
import { Hub } from './hub'
import { PublishRate } from './publish-rate'

/** What one process has of this package: made once, passed on, never imported. */
export interface SSEContext extends ConnectionContext {
  /** The module's options, which a handler's own override. */
  readonly options: ResolvedHandlerOptions
  readonly driver: LogDriver
  readonly hub: Hub
  /** Who may come in. */
  readonly admissions: Admissions
  readonly publishRate: PublishRate
  /** Aborted when the process begins to shut down: newcomers are turned away, and nobody waits any longer. */
  readonly closing: AbortSignal
  /** Asks every client to come back, ends all streams, and releases the driver. Safe to call twice. */
  close(): Promise<void>
}

export interface SSEContextInit {
  options: ResolvedHandlerOptions
  driver?: LogDriver
  report?(error: unknown): void
}

export function createSSEContext({ options, driver = createMemoryDriver(options.retention), report = reportToConsole }: SSEContextInit): SSEContext {
  const connections = new Set<Connection>()
  const closing = new AbortController()
  let closed: Promise<void> | undefined
  return {
    options,
    driver,
    hub: new Hub(driver),
    admissions: new Admissions(options),
    publishRate: new PublishRate(),
    heartbeats: new Heartbeats(),
    connections,
    report,
    closing: closing.signal,
    close() {
      closing.abort()
      return closed ??= closeAll(connections, driver).catch(report)
    },
  }
}

async function closeAll(connections: Set<Connection>, driver: LogDriver): Promise<void> {
  const open = [...connections]
  for (const connection of open) connection.leave()
  await driver.close()
}

function reportToConsole(error: unknown): void {
  console.error('[nuxt-sse]', error)
}
