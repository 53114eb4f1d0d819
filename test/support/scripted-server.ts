import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { control } from './sse-text'

export { control, message } from './sse-text'

/** One request, and the means to answer it. */
export class Exchange {
  closed = false

  constructor(readonly request: IncomingMessage, readonly response: ServerResponse, readonly body: string) {
    response.on('close', () => this.closed = true)
    response.on('error', () => {})
  }

  get url(): URL {
    return new URL(this.request.url!, 'http://test')
  }

  get query(): Record<string, string> {
    return Object.fromEntries(this.url.searchParams)
  }

  get isPoll(): boolean {
    return this.query.transport === 'poll'
  }

  /** Requested position, as a server reads it. */
  get position(): string | undefined {
    return (this.request.headers['last-event-id'] as string | undefined) ?? this.query.position
  }

  /** Begins an event stream. */
  stream(text = '', headers: Record<string, string> = {}): this {
    this.response.writeHead(200, { 'content-type': 'text/event-stream', ...headers })
    this.response.flushHeaders()
    if (text) this.response.write(text)
    return this
  }

  /** Begins like a server of this package. */
  open(fields: Record<string, unknown> = {}): this {
    return this.stream(control({ type: 'open', heartbeatMs: 0, ...fields }))
  }

  write(bytes: string | Uint8Array): this {
    this.response.write(bytes)
    return this
  }

  end(text = ''): void {
    this.response.end(text)
  }

  /** Cuts the connection like a broken network. */
  cut(): void {
    this.response.socket?.destroy()
  }

  status(code: number, body: unknown = '', headers: Record<string, string> = {}): void {
    this.response.writeHead(code, { 'content-type': typeof body === 'string' ? 'text/html' : 'application/json', ...headers })
    this.response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }

  batch(messages: { channel?: string, id?: string, event?: string, data: unknown }[], fields: Record<string, unknown> = {}): void {
    this.status(200, { type: 'batch', messages, position: messages.at(-1)?.id ?? this.query.position ?? 'e1.0', ended: false, gap: null, pollMs: 0, ...fields })
  }
}

export type Step = (exchange: Exchange) => unknown

export interface ScriptedServer {
  url: string
  exchanges: Exchange[]
  /** Sets the answers to the next requests, one step each. The last step repeats for all later requests. */
  script(...steps: Step[]): void
  close(): Promise<void>
}

/** Allows everything to pages of other origins; browsers compare the list with what a request has, as `*` excludes credentials. */
const CORS = { 'access-control-allow-credentials': 'true', 'access-control-expose-headers': 'x-nuxt-sse, retry-after', 'access-control-max-age': '600' }

/** A server on real sockets that follows the script of a test. `cors`: for pages of other origins, whose preflights are no exchanges. */
export async function startScriptedServer({ cors = false } = {}): Promise<ScriptedServer> {
  const exchanges: Exchange[] = []
  let steps: Step[] = []
  let next = 0
  const sockets = new Set<Socket>()
  const server = createServer(async (request, response) => {
    const { origin, 'access-control-request-headers': headers = '', 'access-control-request-method': method } = request.headers
    if (cors && origin) {
      for (const [name, value] of Object.entries({ ...CORS, 'access-control-allow-origin': origin, 'access-control-allow-headers': headers, 'access-control-allow-methods': method ?? '' })) response.setHeader(name, value)
      if (method) return void response.writeHead(204).end()
    }
    let body = ''
    for await (const chunk of request) body += chunk
    const exchange = new Exchange(request, response, body)
    exchanges.push(exchange)
    await steps[Math.min(next++, steps.length - 1)]?.(exchange)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    exchanges,
    script(...script) {
      steps = script
      next = 0
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
