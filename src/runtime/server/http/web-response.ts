import type { H3Event } from 'h3'
import { answerWith, isAnswered, sentHeaderOf, setHeaders, signalOf } from '#sse/h3'
import { STREAM_HEADERS, answerHeaders } from './response-headers'
import type { OwnHeaders } from './own-headers'
import { platform } from '../lib/platform/platform'
import type { SSEResponse, SinkEvents } from './sink'
import { encodeText } from '../wire/encode'

/** A web stream pulls again while it buffers fewer bytes. */
const WEB_HIGH_WATER_BYTES = 65_536

/** Response as a web stream: on runtimes without Node's response, and for requests that a server makes to itself. */
export class WebResponse implements SSEResponse {
  readonly holdsRequest = false
  answer: unknown
  #events!: SinkEvents
  #signal?: AbortSignal
  #controller?: ReadableStreamDefaultController<Uint8Array>
  #ending = false
  #over = false
  /** Runs every task of this response in its own request. */
  readonly #turns = platform.turns()

  constructor(private readonly event: H3Event) {}

  get bufferedBytes(): number {
    return this.#over ? 0 : WEB_HIGH_WATER_BYTES - (this.#controller?.desiredSize ?? WEB_HIGH_WATER_BYTES)
  }

  /** A client that disconnects cancels the stream. Before the stream exists, the signal of the request reports it, if there is one. */
  watch(events: SinkEvents): void {
    this.#events = events
    this.#signal = signalOf(this.event)
    if (this.#signal?.aborted) return this.#onClose()
    this.#signal?.addEventListener('abort', this.#onClose)
  }

  open(headers?: OwnHeaders): boolean {
    if (this.#over || isAnswered(this.event)) return false
    setHeaders(this.event, answerHeaders(STREAM_HEADERS, sentHeaderOf(this.event, 'vary'), headers))
    const stream = new ReadableStream<Uint8Array>({
      start: controller => void (this.#controller = controller),
      pull: () => {
        if (this.#over) return
        if (!this.#ending) this.#events.onDrain()
        else if (this.bufferedBytes === 0) this.#finish()
      },
      cancel: () => this.#onClose(),
    }, new ByteLengthQueuingStrategy({ highWaterMark: WEB_HIGH_WATER_BYTES }))
    this.answer = answerWith(this.event, stream)
    return true
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#over) return true
    // A consumer may transfer the bytes, and shared bytes must stay readable for other clients.
    this.#controller!.enqueue(typeof chunk === 'string' ? encodeText(chunk) : new Uint8Array(chunk))
    return this.#controller!.desiredSize! > 0
  }

  /** Ends when the client has taken the last byte. Until then, a client that takes none can be cut off. */
  end(): void {
    if (this.#over || this.#ending) return
    this.#ending = true
    if (this.bufferedBytes === 0) this.#finish()
  }

  #finish(): void {
    this.#leave()
    this.#controller!.close()
    queueMicrotask(() => this.#events.onClose())
  }

  destroy(): void {
    if (this.#over) return
    this.#leave()
    this.#controller?.error(new Error('The stream was closed before it was complete.'))
    this.#events.onClose()
  }

  afterTick(task: () => void): void {
    this.#turns.afterTick(task)
  }

  callable(task: () => void): () => void {
    return this.#turns.callable(task)
  }

  #leave(): void {
    this.#over = true
    this.#turns.stop()
    this.#signal?.removeEventListener('abort', this.#onClose)
  }

  readonly #onClose = (): void => {
    if (this.#over) return
    this.#leave()
    // Code outside may still hold the stream of a request that is over. The stream must not look as if it continued.
    if (this.#signal?.aborted) this.#controller?.error(this.#signal.reason)
    this.#events.onClose()
  }
}
