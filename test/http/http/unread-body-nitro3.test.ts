import type { RequestListener, Server } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { SSEContext } from '../../../src/runtime/server/context/context'
import { eventually } from '../../support/conditions'
import { RawSocket } from '../../support/raw-http'

// The events of Nitro 3. Not by their types: here, those of h3 1 stand for them.
vi.mock('#sse/h3', () => import('../../../src/runtime/nitro3/h3' as string))
vi.mock('#sse/node-response', () => import('../../../src/runtime/nitro2/no-node-response'))
interface Event { req: { text(): Promise<string> } }
const { H3, toNodeHandler } = await import('nitro/h3' as string) as { H3: new () => { post(path: string, handler: (event: Event) => unknown): void }, toNodeHandler(app: object): RequestListener }
const { createSSEContext } = await import('../../../src/runtime/server/context/context')
const { resolveHandlerOptions } = await import('../../../src/runtime/server/resolve-options')
const { serve } = await import('../../../src/runtime/server/serve/serve')

let server: Server
let context: SSEContext
beforeEach(async () => {
  const options = resolveHandlerOptions({ heartbeatMs: false })
  context = createSSEContext({ options })
  const app = new H3()
  app.post('/push', event => serve(event as never, () => {}, options, context))
  app.post('/late', event => serve(event as never, async function* () {
    yield 'reading'
    yield (await event.req.text()).length
  } as never, options, context))
  server = createServer(toNodeHandler(app))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  await context.close()
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
})

const post = async (path: string, size: number) => {
  const socket = await RawSocket.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  socket.socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${size}\r\n\r\n${'x'.repeat(size)}`)
  return socket
}

it.each([20_000, 300_000, 1_000_000])('a client that leaves while its body of %i bytes is unread is noticed at once on h3 2, too', async (size) => {
  const socket = await post('/push', size)
  await socket.until(s => s.received.includes('"type":"open"'))
  socket.destroy()
  await eventually(() => expect(context.connections.size).toBe(0), 5_000)
})

it('a body that is read after the stream has started is whole', async () => {
  const socket = await post('/late', 300_000)
  await socket.until(s => s.received.includes('data: 300000\n'))
  socket.destroy()
})
