import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { H3Event } from 'h3'
import { behindOneListener } from '../server/lib/one-listener'
import { STREAM_HEADERS, answerHeaders } from '../server/http/response-headers'
import type { OwnHeaders, SSEResponse, SinkEvents } from '../server/http/sink'
import { afterTick } from '../server/lib/tick'

/**
 * `#sse/node-response` in builds for Node: the only file that knows its response and its socket. `undefined` for requests
 * that a server makes to itself (`event.fetch`), whose response is only a record without a socket.
 */
export function createNodeResponse(event: H3Event): SSEResponse | undefined {
  const { req, res } = event.node
  // A request behind another one on its socket (pipelining) gets the socket when that one is over, but has Node's response.
  if (res.socket || isGone(req, res) || 'outputData' in res) return new NodeResponse(req, res)
}

function isGone(req: IncomingMessage, res: ServerResponse): boolean {
  return res.destroyed
    // HTTP/2's response has a stream, and tells of its end only there.
    || (res as { stream?: { destroyed?: boolean } }).stream?.destroyed === true
    || (!res.socket && req.socket?.destroyed)
}

/** For requests that wait behind another one on their socket (pipelining), of which a client may send as many as it likes. */
const whenClosed = behindOneListener<Socket>((socket, callAll) => socket.once('close', callAll))

const ignore = () => {}

class NodeResponse implements SSEResponse {
  readonly holdsRequest = true
  /** Its headers have gone: h3 leaves it alone. */
  readonly answer = undefined
  #events!: SinkEvents
  /** While it waits behind another request. */
  #unwatchSocket?: () => void
  #gone = false
  /** Where what follows the headers may go without `res` in between. */
  #socket?: Socket

  constructor(private readonly req: IncomingMessage, private readonly res: ServerResponse) {}

  get bufferedBytes(): number {
    return this.res.writableLength ?? 0
  }

  /** Not `req` close, as h3 has it: after the body of a POST was read, that event has been and gone. */
  watch(events: SinkEvents): void {
    this.#events = events
    const { req, res } = this
    if (isGone(req, res)) return this.#onClose()
    // `once` would keep a wrapper for as long as the response lives.
    res.on('close', this.#onClose)
    // One that waits behind another request is told nothing by Node 20.
    if (!res.socket) this.#unwatchSocket = whenClosed(req.socket, this.#onClose)
  }

  open(headers?: OwnHeaders): boolean {
    const { res } = this
    if (res.headersSent) return false
    // A response that ends by closing needs no chunk framing, which is a third of the cost of a short message.
    // HTTP/2 has neither, and does not know these two.
    res.shouldKeepAlive = false
    res.useChunkedEncodingByDefault = false
    // Not `setHeader`, which keeps each of them for as long as the response lives. What others have set is merged.
    res.writeHead(res.statusCode, answerHeaders(STREAM_HEADERS, res.getHeader('vary'), headers))
    res.on('drain', this.#onDrain)
    // A peer that resets is an ordinary end: `close` follows.
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
   * Once the headers have gone to a socket that is ours until it closes, and without chunk framing, what `res.write` does
   * to a chunk is nothing, at a sixth of the cost of a short message: it corks the socket, uncorks it in another tick, and
   * has a callback that nobody waits for. HTTP/2 and a `write` that somebody has wrapped (to compress) stay with `res`.
   */
  #passResponse(): void {
    // What `outputData` is long: what waits for the answer to the request before this one (pipelining).
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
    // The response and its socket may both tell of one drain, and what the first call wrote may have filled it again.
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
