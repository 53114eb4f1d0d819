import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { H3Event } from 'h3'
import { createError, getQuery, getRequestHeader, sendStream, setResponseHeader, setResponseHeaders, setResponseStatus } from 'h3'
import { POLL_CONTENT_TYPE, STREAM_CONTENT_TYPE } from '../shared/protocol'
import type { SSEPending } from '../shared/protocol'
import { SSEError } from '../shared/errors'
import type { SSETransport } from '../shared/types'
import type { ResponseSink, SinkEvents } from './sink'
import type { RawRequest } from './request'
import { encodeText } from './wire'

/**
 * The only file that knows h3's response, Node's socket and web streams.
 */

const STREAM_HEADERS = {
  'content-type': STREAM_CONTENT_TYPE,
  // no-transform keeps compressing middleware away, which would hold messages back.
  'cache-control': 'no-cache, no-transform',
  // nginx and those who copied it buffer a response unless told otherwise.
  'x-accel-buffering': 'no',
  'vary': 'accept',
} as const

const BATCH_HEADERS = { 'content-type': POLL_CONTENT_TYPE, 'cache-control': 'no-store', 'vary': 'accept' } as const

/** Of the statuses that requests are refused with (RFC 9110). */
const STATUS_TEXT: Record<number, string> = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 406: 'Not Acceptable', 413: 'Content Too Large', 429: 'Too Many Requests', 500: 'Internal Server Error', 503: 'Service Unavailable' }

/** A web stream is pulled again while it holds less than this. */
const WEB_HIGH_WATER_BYTES = 65_536

export interface SSEResponse extends ResponseSink {
  /** Resolves when the response has begun. */
  readonly opened: Promise<void>
  readonly isOpen: boolean
  /** Whether the framework must be kept waiting until the response is over. */
  readonly holdsRequest: boolean
}

export function readRawRequest(event: H3Event): RawRequest {
  return {
    method: event.method,
    accept: getRequestHeader(event, 'accept'),
    lastEventId: getRequestHeader(event, 'last-event-id'),
    query: getQuery(event),
  }
}

/**
 * Node's own response where there is one; a web stream elsewhere: on other runtimes, and for requests that a server
 * makes to itself (`event.fetch`), Nitro's response is only a record without a socket.
 */
export function createResponse(event: H3Event): SSEResponse {
  const { req, res } = event.node
  // A request behind another one on its socket (pipelining) gets the socket when that one is over, but has Node's response.
  return res.socket || isGone(req, res) || 'outputData' in res ? new NodeResponse(req, res) : new WebResponse(event)
}

/** Headers without a body: the answer to HEAD. */
export function sendHead(event: H3Event, transport: SSETransport): string {
  setResponseHeaders(event, transport === 'poll' ? BATCH_HEADERS : STREAM_HEADERS)
  return ''
}

export function sendNothing(event: H3Event): null {
  setResponseStatus(event, 204)
  return null
}

export function sendJson<T>(event: H3Event, body: T): T {
  setResponseHeaders(event, BATCH_HEADERS)
  return body
}

/** 503 with the delay twice: as the header that every client knows, in seconds, and exactly. */
export function sendPending(event: H3Event, message: string, retryMs: number): SSEPending {
  setResponseStatus(event, 503)
  setResponseHeader(event, 'retry-after', Math.ceil(retryMs / 1000))
  return sendJson(event, { type: 'pending', message, retryMs })
}

/** For an answer that is an error: it keeps the headers that were set. In whole seconds, as the standard has it. */
export function setRetryAfter(event: H3Event, retryMs: number): void {
  setResponseHeader(event, 'retry-after', Math.ceil(retryMs / 1000))
}

/** The address that the outermost of our own `proxies` saw; of the socket without any. */
export function clientAddress(event: H3Event, proxies: number | false): string | undefined {
  const forwarded = proxies ? getRequestHeader(event, 'x-forwarded-for')?.split(',').at(-proxies)?.trim() : undefined
  // A request that the application makes to itself has an empty one, which is nobody's.
  return forwarded || event.node.req.socket?.remoteAddress || undefined
}

/** An ordinary HTTP error of the framework, with the code in its `data`. Anything but an `SSEError` stays what it is. */
export function toHttpError(error: unknown): unknown {
  if (!(error instanceof SSEError)) return error
  const { statusCode, message, code, cause } = error
  // Without one, Nitro's status line says "Server Error" for a 400 too.
  return createError({ statusCode, statusMessage: STATUS_TEXT[statusCode], message, data: { code }, cause })
}

function isGone(req: IncomingMessage, res: ServerResponse): boolean {
  return res.destroyed
    // HTTP/2's response has a stream, and tells of its end only there.
    || (res as { stream?: { destroyed?: boolean } }).stream?.destroyed === true
    || (!res.socket && req.socket?.destroyed)
}

const OPENED = Promise.resolve()
const ignore = () => {}

class NodeResponse implements SSEResponse {
  readonly holdsRequest = true
  /** Let go of when it has come true: an idle connection holds nothing that nobody waits for. */
  #opened?: PromiseWithResolvers<void> = Promise.withResolvers<void>()
  isOpen = false
  #events!: SinkEvents
  #behind = false
  #gone = false
  /** Where what follows the headers may go without `res` in between. */
  #socket?: Socket

  constructor(private readonly req: IncomingMessage, private readonly res: ServerResponse) {}

  get opened(): Promise<void> {
    return this.#opened?.promise ?? OPENED
  }

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
    this.#behind = !res.socket
    if (this.#behind) req.socket.once('close', this.#onClose)
  }

  open(): boolean {
    const { res } = this
    if (res.headersSent) return false
    // A response that ends by closing needs no chunk framing, which is a third of the cost of a short message.
    // HTTP/2 has neither, and does not know these two.
    res.shouldKeepAlive = false
    res.useChunkedEncodingByDefault = false
    // Not `setHeader`, which keeps each of them for as long as the response lives. What others have set is merged.
    res.writeHead(res.statusCode, STREAM_HEADERS)
    res.on('drain', this.#onDrain)
    // A peer that resets is an ordinary end: `close` follows.
    res.on('error', ignore)
    this.isOpen = true
    this.#opened?.resolve()
    this.#opened = undefined
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
    if (this.#behind) this.req.socket.off('close', this.#onClose)
    this.#events.onClose()
  }
}

class WebResponse implements SSEResponse {
  readonly holdsRequest = false
  readonly #opened = Promise.withResolvers<void>()
  isOpen = false
  #events!: SinkEvents
  #controller!: ReadableStreamDefaultController<Uint8Array>
  #over = false

  constructor(private readonly event: H3Event) {}

  get opened(): Promise<void> {
    return this.#opened.promise
  }

  get bufferedBytes(): number {
    return this.#over ? 0 : WEB_HIGH_WATER_BYTES - (this.#controller.desiredSize ?? 0)
  }

  watch(events: SinkEvents): void {
    this.#events = events
  }

  open(): boolean {
    if (this.event.handled) return false
    setResponseHeaders(this.event, STREAM_HEADERS)
    const stream = new ReadableStream<Uint8Array>({
      start: controller => void (this.#controller = controller),
      pull: () => {
        if (!this.#over) this.#events.onDrain()
      },
      cancel: () => this.#onClose(),
    }, new ByteLengthQueuingStrategy({ highWaterMark: WEB_HIGH_WATER_BYTES }))
    // Resolves at once: without a socket, h3 hands the stream on to whoever called it.
    void sendStream(this.event, stream)
    this.isOpen = true
    this.#opened.resolve()
    return true
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#over) return true
    // A consumer may transfer what it is given, and shared bytes must stay readable for the others.
    this.#controller.enqueue(typeof chunk === 'string' ? encodeText(chunk) : new Uint8Array(chunk))
    return this.#controller.desiredSize! > 0
  }

  end(): void {
    if (this.#over) return
    this.#over = true
    this.#controller.close()
    queueMicrotask(() => this.#events.onClose())
  }

  destroy(): void {
    if (this.#over) return
    this.#over = true
    this.#controller.error(new Error('[nuxt-sse] The stream was cut.'))
    this.#events.onClose()
  }

  #onClose(): void {
    if (this.#over) return
    this.#over = true
    this.#events.onClose()
  }
}
