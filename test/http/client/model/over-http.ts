import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readRequest } from './in-process'
import type { Wire } from './server'

/** Every so many requests, the answer is a redirect elsewhere. */
const REDIRECT_EVERY = 5

export interface HttpGround {
  origin: string
  /** Belongs to the run that is under way. */
  onRequest: (wire: Wire) => void
  close(): Promise<void>
}

/** Requests of a real server, on real sockets, as the model takes them. */
export async function listen(): Promise<HttpGround> {
  let number = 0
  let asked = 0
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://model')
    request.resume()
    if (!url.searchParams.has('hop') && ++asked % REDIRECT_EVERY === 0) {
      url.searchParams.set('hop', '1')
      response.writeHead(307, { location: url.pathname + url.search }).end()
      return
    }
    let closed = false
    let cut = false
    response.on('close', () => closed = true)
    response.on('error', () => {})
    ground.onRequest({
      ...readRequest(request.url!, new Headers(request.headers as Record<string, string>)),
      number: ++number,
      get open() {
        return !closed && !cut && !response.writableEnded
      },
      get aborted() {
        return closed && !cut && !response.writableFinished
      },
      head(status, headers) {
        response.writeHead(status, headers)
        response.flushHeaders()
      },
      write: bytes => void response.write(bytes),
      end: () => void response.end(),
      cut() {
        cut = true
        response.destroy()
      },
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const ground: HttpGround = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    onRequest: () => {},
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
  return ground
}
