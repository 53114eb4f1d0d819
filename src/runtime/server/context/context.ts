import type { Connection } from '../connection/connection'
import type { ConnectionContext } from '../connection/context'
import { Admissions } from '../limits/admission'
import { Heartbeats } from '../connection/heartbeat'
import type { PlatformLimits } from '../lib/platform/contract'
import { platform } from '../lib/platform/platform'
import { createChannelContext } from './channel-context'
import { Disconnects, RECONNECTS_PER_SECOND } from './disconnects'
import type { ChannelContext, ChannelContextInit } from './channel-context'

/** All state of one server process: created once, passed on, never imported. */
export interface SSEContext extends ChannelContext, ConnectionContext<Connection> {
  /** The platform's limits, within which handlers' options are brought. */
  readonly limits: PlatformLimits
  /** Limits of connections. */
  readonly admissions: Admissions
  /** Requests by client key, for `disconnectSSE`. */
  readonly disconnects: Disconnects
  /** {@link ChannelContext.leave}, and asks the clients of all streams to reconnect. */
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
