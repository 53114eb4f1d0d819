import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

export interface CutOptions {
  headers?: Record<string, string>
  method?: string
  body?: string
  /** Cuts the connection after exactly this many bytes of the body, and discards the rest of the packet. */
  cutAfterBytes?: number
  /** Cuts the connection when this resolves. */
  cutWhen?: Promise<unknown>
  onBytes(bytes: Uint8Array): void
}

/** One request that its client cuts at an exact place. Resolves at the end of the connection, from either side. */
export function requestUntilCut(url: string, { headers, method, body, cutAfterBytes = Infinity, cutWhen, onBytes }: CutOptions): Promise<{ status: number, cut: boolean }> {
  return new Promise((resolve, reject) => {
    let left = cutAfterBytes
    let status = 0
    let cut = false
    const outgoing = request(url, { headers, method, agent: false })
    const cutNow = () => {
      cut = true
      outgoing.destroy()
    }
    void cutWhen?.then(cutNow)
    outgoing.on('response', (response: IncomingMessage) => {
      status = response.statusCode!
      response.on('data', (chunk: Uint8Array) => {
        if (cut) return
        onBytes(chunk.subarray(0, Math.min(left, chunk.length)))
        left -= chunk.length
        if (left <= 0) cutNow()
      })
      response.on('error', () => {})
      response.on('close', () => resolve({ status, cut: cut || !response.complete }))
    })
    outgoing.on('error', error => cut ? resolve({ status, cut }) : reject(error))
    outgoing.on('close', () => cut && resolve({ status, cut }))
    outgoing.end(body)
  })
}

/** A bare TCP connection to a server, for bytes that no client would send. */
export class RawSocket {
  received = ''
  closed = false
  readonly #waiting = new Set<() => void>()

  private constructor(readonly socket: Socket) {
    const wake = () => {
      for (const check of this.#waiting) check()
    }
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
      wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
      wake()
    })
  }

  static async open(url: string, text = ''): Promise<RawSocket> {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    if (text) socket.write(text)
    return new RawSocket(socket)
  }

  static get(url: string, path: string, headers = ''): Promise<RawSocket> {
    return RawSocket.open(url, `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`)
  }

  async until(condition: (socket: this) => boolean, timeoutMs = 45_000): Promise<this> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const check = () => {
      if (condition(this)) resolve()
    }
    const timer = setTimeout(() => reject(new Error(`Not within ${timeoutMs} ms. Read so far: ${this.received.slice(-500)}`)), timeoutMs)
    this.#waiting.add(check)
    check()
    try {
      await promise
    }
    finally {
      clearTimeout(timer)
      this.#waiting.delete(check)
    }
    return this
  }

  destroy(): void {
    this.socket.destroy()
  }
}
