import { startRelay } from './relay'

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
