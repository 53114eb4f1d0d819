import type { Connection } from '../connection/connection'
import type { ConnectionContext } from '../connection/context'
import { Admissions } from '../limits/admission'
import { Heartbeats } from '../connection/heartbeat'
import type { PlatformLimits } from '../lib/platform/contract'
import { platform } from '../lib/platform/platform'
import { createChannelContext } from './channel-context'
import { Disconnects, RECONNECTS_PER_SECOND } from './disconnects'
import type { ChannelContext, ChannelContextInit } from './channel-context'

/** Services of one server process: created once, passed on, never imported. */
export interface SSEContext extends ChannelContext, ConnectionContext<Connection> {
  /** Limits of the platform. Options of handlers are brought within them. */
  readonly limits: PlatformLimits
  /** Limits on open connections. */
  readonly admissions: Admissions
  /** Requests by client key, for `disconnectSSE`. */
  readonly disconnects: Disconnects
  /** {@link ChannelContext.leave}, and instructs the clients of all streams to reconnect. */
  leave(): Promise<void>
}

export interface SSEContextInit extends ChannelContextInit {
  limits?: PlatformLimits
}

export function createSSEContext({ limits = {}, ...init }: SSEContextInit): SSEContext {
  const tracked = new Set<Promise<unknown>>()
  const connections = new Set<Connection>()
  const channels = createChannelContext(init, {
    begin: () => leaveAll(connections, channels.report),
    inFlight: () => [...tracked],
  })
  const { closing, driver, hub, options, producers, report } = channels
  return {
    ...channels,
    limits,
    admissions: new Admissions(options),
    disconnects: new Disconnects({ driver, closing, report }),
    heartbeats: platform.timers(() => new Heartbeats(report)),
    connections,
    track(promise) {
      tracked.add(promise)
      void promise.finally(() => tracked.delete(promise))
    },
    endAbandoned: platform.watchAbandoned(connections, () => {
      hub.lookForLost()
      return producers.endAbandoned()
    }),
  }
}

/** Instructs all clients to reconnect, spread over a time that grows with their number and is at least `retryMs`. */
function leaveAll(connections: Set<Connection>, report: (error: unknown) => void): void {
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
