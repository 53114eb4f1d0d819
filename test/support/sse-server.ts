import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { EventHandler, H3Event } from 'h3'
import { createApp, createRouter, defineEventHandler, toNodeListener } from 'h3'
import { createSSEContext } from '../../src/runtime/server/context'
import type { SSEContext } from '../../src/runtime/server/context'
import { Channel } from '../../src/runtime/server/channel'
import type { LogDriver } from '../../src/runtime/server/drivers/types'
import type { SSEConnection } from '../../src/runtime/server/connection'
import type { SSEHandlerOptions } from '../../src/runtime/server/options'
import { resolveHandlerOptions } from '../../src/runtime/server/options'
import { serve } from '../../src/runtime/server/serve'

type Handler = (event: H3Event, connection: SSEConnection) => unknown

export interface TestServer {
  url: string
  server: Server
  context: SSEContext
  /** What went to `report`: errors that nobody awaited. */
  reported: unknown[]
  /** Open sockets, to be cut. */
  sockets: Set<Socket>
  channel<T = unknown>(name: string, options?: ConstructorParameters<typeof Channel>[2]): Channel<T>
  /** A route as `defineSSEHandler` makes it, on this server's context. */
  route(path: string, handler: Handler, options?: SSEHandlerOptions): void
  /** Any other h3 route. */
  use(path: string, handler: EventHandler): void
  close(): Promise<void>
}

/** The server half on h3 and a real socket, without Nuxt around it: what a test needs in milliseconds. */
export async function startSSEServer(options: SSEHandlerOptions = {}, driver?: LogDriver): Promise<TestServer> {
  const reported: unknown[] = []
  const resolved = resolveHandlerOptions(options)
  const context = createSSEContext({ options: resolved, driver, report: error => reported.push(error) })
  const app = createApp()
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
    server,
    context,
    reported,
    sockets,
    channel: <T>(name: string, channelOptions?: ConstructorParameters<typeof Channel>[2]) => new Channel<T>(context, name, channelOptions),
    route(path, handler, handlerOptions) {
      const own = resolveHandlerOptions(handlerOptions, resolved)
      router.use(path, defineEventHandler(event => serve(event, handler, own, context)))
    },
    use: (path, handler) => void router.use(path, handler),
    async close() {
      await context.close()
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
