import { startRelay } from './relay'

export interface Proxy {
  url: string
  /** Cuts every open connection without notice. */
  cut(): void
  /** Holds back event streams, as a buffering proxy does. JSON passes through. */
  mute: boolean
  /** Cuts each connection after this many bytes from the server. */
  bytesUntilCut: number
  /** Forwards the server's bytes in pieces of this size. */
  pieceBytes: number
  close(): Promise<void>
}

/** A proxy between a client and a server that misbehaves on demand. */
export async function startProxy(target: string): Promise<Proxy> {
  const relay = await startRelay(Number(new URL(target).port), (client, upstream) => {
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
  })
  const proxy: Proxy = {
    url: `http://127.0.0.1:${relay.port}`,
    mute: false,
    bytesUntilCut: Infinity,
    pieceBytes: Infinity,
    cut: relay.cut,
    close: relay.close,
  }
  return proxy
}
