import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { H3Event } from 'h3'
import { shareListener } from '../server/lib/one-listener'
import { STREAM_HEADERS, answerHeaders } from '../server/http/response-headers'
import type { OwnHeaders, SSEResponse, SinkEvents } from '../server/http/sink'
import { afterTick } from '../server/lib/tick'

/**
 * `#sse/node-response` in builds for Node: the only file that uses Node's response and its socket. Returns `undefined` for a server's
 * requests to itself (`event.fetch`), whose response is only a record without a socket.
 */
export function createNodeResponse(event: H3Event): SSEResponse | undefined {
  const { req, res } = event.node
  // A pipelined request gets its socket when the request before it is over, but has Node's response already.
  if (res.socket || isGone(req, res) || 'outputData' in res) return new NodeResponse(req, res)
}

function isGone(req: IncomingMessage, res: ServerResponse): boolean {
  return res.destroyed
    // HTTP/2's response has a stream, and reports its end only there.
    || (res as { stream?: { destroyed?: boolean } }).stream?.destroyed === true
    || (!res.socket && req.socket?.destroyed)
}

/** One listener per socket for its pipelined requests, of which a client may send any number. */
const whenClosed = shareListener<Socket>((socket, callAll) => socket.once('close', callAll))

const ignore = () => {}

class NodeResponse implements SSEResponse {
  readonly holdsRequest = true
  /** The headers have been sent: h3 takes no further action. */
  readonly answer = undefined
  #events!: SinkEvents
  /** Set while the request waits for the request before it on the same socket. */
  #unwatchSocket?: () => void
  #gone = false
  /** Set where the bytes after the headers can bypass `res`. */
  #socket?: Socket

  constructor(private readonly req: IncomingMessage, private readonly res: ServerResponse) {}

  get bufferedBytes(): number {
    return this.res.writableLength ?? 0
  }

  /** Does not listen to `req` close, as h3 does: once the body of a POST was read, that event has already fired. */
  watch(events: SinkEvents): void {
    this.#events = events
    const { req, res } = this
    if (isGone(req, res)) return this.#onClose()
    // `once` would keep a wrapper for as long as the response lives.
    res.on('close', this.#onClose)
    // On Node 20, a pipelined request that is still waiting receives no event.
    if (!res.socket) this.#unwatchSocket = whenClosed(req.socket, this.#onClose)
  }

  open(headers?: OwnHeaders): boolean {
    const { res } = this
    if (res.headersSent) return false
    // A response that ends by closing needs no chunk framing, which is a third of the cost of a short message. HTTP/2 has neither, and
    // ignores these two properties.
    res.shouldKeepAlive = false
    res.useChunkedEncodingByDefault = false
    // Not `setHeader`, which keeps each header for as long as the response lives. Headers set by other code are merged.
    res.writeHead(res.statusCode, answerHeaders(STREAM_HEADERS, res.getHeader('vary'), headers))
    res.on('drain', this.#onDrain)
    // A reset by the peer is an ordinary end: `close` follows.
    res.on('error', ignore)
    return true
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#gone) return true
    if (this.#socket) return this.#socket.write(chunk)
    const accepted = this.res.write(chunk)
    this.#passResponse()
    return accepted
  }

  end(): void {
    this.#leaveSocket()
    this.res.end()
  }

  destroy(): void {
    this.res.destroy()
  }

  afterTick(task: () => void): void {
    afterTick(task)
  }

  callable(task: () => void): () => void {
    return task
  }

  /**
   * Bypasses `res.write` once the headers have been sent to a socket that this response owns until it closes, without chunk framing. There
   * `res.write` adds nothing to a chunk, at a sixth of the cost of a short message: it corks the socket, uncorks it in another tick, and
   * has a callback that nothing awaits. HTTP/2, and a `write` that other code has wrapped (to compress), stay with `res`.
   */
  #passResponse(): void {
    // Bytes in `outputData`: they wait for the response to the previous pipelined request.
    const res = this.res as ServerResponse & { outputSize?: number }
    if (res.chunkedEncoding !== false || res.outputSize !== 0 || !res.socket || Object.hasOwn(res, 'write')) return
    this.#socket = res.socket
    this.#socket.on('drain', this.#onDrain)
  }

  #leaveSocket(): void {
    this.#socket?.off('drain', this.#onDrain)
    this.#socket = undefined
  }

  readonly #onDrain = (): void => {
    // The response and its socket may both report one drain, and the first call's writes may have filled the buffer again.
    if (!this.#socket?.writableNeedDrain) this.#events.onDrain()
  }

  readonly #onClose = (): void => {
    if (this.#gone) return
    this.#gone = true
    this.#leaveSocket()
    this.#unwatchSocket?.()
    this.#events.onClose()
  }
}
