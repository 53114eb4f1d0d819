import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Balancer {
  url: string
  /** Cuts every open connection without notice. */
  cut(): void
  close(): Promise<void>
}

/**
 * Passes each request to the first instance of `order` that accepts it, like a load balancer. It skips an instance that has gone, and
 * cuts the answers that this instance had begun.
 */
export async function startBalancer(
  order: (request: IncomingMessage) => { port: number }[],
  /** Closes the connection instead of forwarding the answer, although the instance served the request. */
  losesAnswer: (request: IncomingMessage) => boolean = () => false,
): Promise<Balancer> {
  const forward = (incoming: IncomingMessage, outgoing: ServerResponse, [first, ...others]: { port: number }[]) => {
    if (!first) return void outgoing.writeHead(502).end()
    const { method, url: path, headers } = incoming
    // One connection for each request: a cut of an idle connection would count as a failure.
    const upstream = request({ host: '127.0.0.1', port: first.port, method, path, headers, agent: false }, (answer) => {
      if (losesAnswer(incoming)) return void outgoing.destroy()
      outgoing.writeHead(answer.statusCode!, answer.headers)
      outgoing.flushHeaders()
      answer.pipe(outgoing)
      answer.on('error', () => outgoing.destroy())
    })
    upstream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') forward(incoming, outgoing, others)
      else outgoing.destroy()
    })
    outgoing.on('close', () => upstream.destroy())
    // Not earlier: the next instance could not read the part of a body that this one consumed.
    upstream.once('socket', socket => socket.once('connect', () => incoming.pipe(upstream)))
  }
  const server = createServer((incoming, outgoing) => forward(incoming, outgoing, order(incoming))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => server.closeAllConnections(),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
