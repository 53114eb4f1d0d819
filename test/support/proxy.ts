import type { Socket, AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'

export interface Proxy {
  url: string
  /** Cuts every connection that is open, without a word. */
  cut(): void
  /** Holds back what the server sends, as a buffering proxy does: for event streams only, JSON goes through. */
  mute: boolean
  /** Cuts each connection after so many bytes of the server's. */
  bytesUntilCut: number
  /** Hands on what the server sends in pieces of this size. */
  pieceBytes: number
  close(): Promise<void>
}

/** What stands between a client and a server, and misbehaves when told to. */
export async function startProxy(target: string): Promise<Proxy> {
  const { port } = new URL(target)
  const sockets = new Set<Socket>()
  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    return socket
  }
  const server = createServer({ noDelay: true }, (client) => {
    track(client)
    const upstream = track(connect({ port: Number(port), host: '127.0.0.1', noDelay: true }))
    let left = proxy.bytesUntilCut
    let streams = false
    client.on('data', (chunk) => {
      streams ||= chunk.includes('text/event-stream')
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (proxy.mute && streams) return
      for (let at = 0; at < chunk.length && !client.destroyed; at += proxy.pieceBytes) {
        const piece = chunk.subarray(at, Math.min(at + proxy.pieceBytes, at + left, chunk.length))
        client.write(piece)
        left -= piece.length
        if (left <= 0) return client.destroySoon()
      }
    })
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroySoon())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const proxy: Proxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mute: false,
    bytesUntilCut: Infinity,
    pieceBytes: Infinity,
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      proxy.cut()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return proxy
}
