import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { App, EventHandler, H3Event } from 'h3'
import { afterEach, beforeEach, expect } from 'vitest'
import { createApp, createRouter, defineEventHandler, send, setResponseHeader, setResponseStatus, toNodeListener } from 'h3'
import { createSSEContext } from '../../src/runtime/server/context/context'
import type { SSEContext } from '../../src/runtime/server/context/context'
import { Channel } from '../../src/runtime/server/channel/channel'
import { Channels } from '../../src/runtime/server/channel/several'
import { Presence } from '../../src/runtime/server/presence/presence'
import type { SSEPresenceOptions } from '../../src/runtime/server/presence/types'
import type { SSEPresenceMember } from '../../src/runtime/shared/presence'
import { describeRequest, subjectOf } from '../../src/runtime/server/http/describe-request'
import { makeErrorsKnownToH3 } from '../../src/runtime/server/http/response'
import type { LogDriver } from '../../src/runtime/server/drivers/types'
import type { SSEConnection } from '../../src/runtime/server/connection/types'
import type { SSEHandlerOptions, SSEOwnHandlerOptions } from '../../src/runtime/server/options'
import { resolveHandlerOptions } from '../../src/runtime/server/resolve-options'
import type { RawConnection } from '../../src/runtime/server/serve/raw-connection'
import { createRawConnection } from '../../src/runtime/server/serve/raw-connection'
import { serve } from '../../src/runtime/server/serve/serve'
import { eventually } from './conditions'
import { turns } from './random'
import { failOnUnhandledRejections } from './unhandled'

type Handler = (event: H3Event, connection: SSEConnection) => unknown

export interface TestServer {
  url: string
  app: App
  server: Server
  context: SSEContext
  /** Errors that the server passed to `report`, since no caller awaited them. */
  reported: unknown[]
  /** Open sockets, for cutting. */
  sockets: Set<Socket>
  channel<T = unknown>(name: string, options?: ConstructorParameters<typeof Channel>[2]): Channel<T>
  /** `useSSEChannels` on this server. */
  channels(channels: Record<string, Channel>): Channels
  /** `useSSEPresence` on this server. */
  presence(name: string, member?: SSEPresenceMember, options?: SSEPresenceOptions): Presence
  /** Adds a route like `defineSSEHandler`, on this server's context. */
  route(path: string, handler: Handler, options?: SSEOwnHandlerOptions): void
  /** Handles a request like such a route, inside another handler. */
  stream(event: H3Event, handler: Handler): Promise<unknown>
  /** `createSSEConnection` on this server's context. */
  raw(event: H3Event, options?: SSEHandlerOptions): RawConnection
  /** Open resources, by kind. */
  left(): { connections: number, heartbeats: number, channels: number }
  /** Any other h3 route. */
  use(path: string, handler: EventHandler): void
  close(): Promise<void>
}

/** Value of {@link TestServer.left} after a complete clean-up. */
export const NOTHING = { connections: 0, heartbeats: 0, channels: 0 }

interface ServerOptions {
  /** Sends errors to the console instead of {@link TestServer.reported}. */
  report?: 'to the console'
}

/**
 * Starts servers for the tests of a file, each with its own options, and closes them after the test that started them. Call it before
 * the file's own hooks: they then run while the servers are open, and this check runs last.
 *
 * After each test it cuts off all clients, and each server has to release everything without a shutdown. No promise rejection may
 * remain unhandled.
 */
export function useSSEServers(): typeof startSSEServer {
  const started = new Set<TestServer>()
  failOnUnhandledRejections()
  afterEach(async () => {
    const servers = [...started]
    started.clear()
    try {
      await Promise.all(servers.map(expectNothingLeft))
    }
    finally {
      await Promise.all(servers.map(server => server.close()))
    }
    for (const server of servers) expect(server.left()).toEqual(NOTHING)
  })
  return async (...args) => {
    const server = await startSSEServer(...args)
    started.add(server)
    return server
  }
}

/** A server for each test, as {@link useSSEServers} starts it. The returned object always stands for the server of the current test. */
export function useSSEServer(options?: SSEHandlerOptions, { driver, ...serverOptions }: ServerOptions & { driver?: () => LogDriver } = {}): TestServer {
  const start = useSSEServers()
  let current: TestServer
  beforeEach(async () => {
    current = await start(options, driver?.(), serverOptions)
  })
  return new Proxy({} as TestServer, { get: (_, name) => Reflect.get(current, name) })
}

async function expectNothingLeft({ server, sockets, left }: TestServer): Promise<void> {
  // A client that reconnects does not count as a leak.
  server.close()
  for (const socket of sockets) socket.destroy()
  // Most servers need only a few turns, and a wait costs each test 10 ms.
  await turns(3)
  await eventually(() => expect(left()).toEqual(NOTHING), 5_000)
}

/** The server half on h3 and a real socket, without Nuxt, so that it starts in milliseconds. */
export async function startSSEServer(options: SSEHandlerOptions = {}, driver?: LogDriver, { report }: ServerOptions = {}): Promise<TestServer> {
  const reported: unknown[] = []
  const resolved = resolveHandlerOptions(options)
  makeErrorsKnownToH3()
  const context = createSSEContext({ options: resolved, driver, describe: { describe: describeRequest, subject: subjectOf }, ...report ? {} : { report: error => reported.push(error) } })
  const app = createApp({
    // Answers like Nitro: the text of an error is public only if the application made it public.
    async onError({ statusCode, message, data, unhandled }, event) {
      if (event.node.res.headersSent) return
      setResponseStatus(event, statusCode)
      setResponseHeader(event, 'content-type', 'application/json')
      await send(event, JSON.stringify({ error: true, statusCode, message: unhandled ? 'Server Error' : message, data }))
    },
  })
  const router = createRouter()
  app.use(router)
  const server = createServer(toNodeListener(app))
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    app,
    server,
    context,
    reported,
    sockets,
    channel: <T>(name: string, channelOptions?: ConstructorParameters<typeof Channel>[2]) => new Channel<T>(context, name, channelOptions),
    channels: channels => new Channels(channels),
    presence: (name, member, presenceOptions) => new Presence(context, name, member, presenceOptions),
    route(path, handler, handlerOptions) {
      const own = resolveHandlerOptions(handlerOptions, resolved)
      router.use(path, defineEventHandler(event => serve(event, handler, own, context)))
    },
    stream: (event, handler) => serve(event, handler, resolved, context),
    raw: (event, rawOptions) => createRawConnection(event, resolveHandlerOptions(rawOptions, resolved), context),
    left: () => ({ connections: context.connections.size, heartbeats: context.heartbeats.size, channels: context.hub.size }),
    use: (path, handler) => void router.use(path, handler),
    async close() {
      await context.close()
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
