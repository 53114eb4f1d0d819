import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'

export interface Relay {
  /** Port on 127.0.0.1. */
  port: number
  /** Whether the relay refuses connections. */
  away: boolean
  /** Cuts every open connection without notice. */
  cut(): void
  close(): Promise<void>
}

/**
 * Relay between clients and the server on `port` of 127.0.0.1. Opens a connection to the server for each client, and closes each of
 * the two when the other one closes. `carry` forwards the bytes.
 */
export async function startRelay(port: number, carry: (client: Socket, upstream: Socket) => void): Promise<Relay> {
  const sockets = new Set<Socket>()
  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    return socket
  }
  const server = createServer({ noDelay: true }, (client) => {
    track(client)
    if (relay.away) return client.destroy()
    const upstream = track(connect({ port, host: '127.0.0.1', noDelay: true }))
    carry(client, upstream)
    client.on('close', () => upstream.destroy())
    // Bytes that the server sent earlier still arrive.
    upstream.on('close', () => client.destroySoon())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const relay: Relay = {
    port: (server.address() as AddressInfo).port,
    away: false,
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      relay.cut()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return relay
}
