import { createParser } from 'eventsource-parser'
import type { EventSourceMessage } from 'eventsource-parser'
import { SSEError, invalidOption } from '../shared/errors'
import { encodeBody } from '../shared/encode-body'
import { parseJson } from '../shared/json'
import { CONTROL_EVENT } from '../shared/protocol'
import type { SSEControl } from '../shared/protocol'
import type { SSEMessage } from '../shared/types'

export interface SSEReaderOptions {
  /** HTTP method. @default 'GET', or 'POST' where there is a `body` */
  method?: string
  /** Request headers, including `last-event-id` to resume as a browser does. */
  headers?: HeadersInit
  /** Request body: sent as JSON if it is a plain object or an array, otherwise unchanged. */
  body?: unknown
  /** Query parameters added to those of the URL. `undefined` values are left out. */
  query?: Record<string, string | number | boolean | undefined>
  /** Start position: `start`, `now`, an ID, or the number of messages you already have. Sent as the query parameter `position`. */
  position?: string | number
  /** Timeout for the headers, and the default timeout of `until`, in milliseconds. @default 5000 */
  timeoutMs?: number
}

/** Control message, or its equivalent from a server of another version. */
export type SSEControlSeen = SSEControl | { type: string, [key: string]: unknown }

export const DEFAULT_TIMEOUT_MS = 5_000
/** Number of characters at the end of the received body that an error shows. */
const SHOWN_CHARACTERS = 2_000

/**
 * Reader of one event stream, with `eventsource-parser`: no reconnect, no polling, no filtering. Its properties hold everything received so
 * far, and grow until the stream is over or {@link close}d.
 */
export class SSEReader<T = unknown> implements AsyncDisposable {
  /** All events, including control messages, as they were on the wire. */
  readonly events: EventSourceMessage[] = []
  /**
   * Ordinary messages, with their data parsed. Data that is not JSON stays a string, as does all data if `open` has `text`. On a route of
   * several channels, `channel` is the key, and `event` the message's own name.
   */
  readonly messages: SSEMessage<T>[] = []
  /** Control messages: `open`, `gap`, `end`, `error`, `leave`, `heartbeat`. */
  readonly controls: SSEControlSeen[] = []
  /** Comments, including heartbeats. */
  readonly comments: string[] = []
  /** Body so far. */
  raw = ''
  /** Delay before a reconnect that the server sent, in milliseconds. */
  retryMs?: number
  /** Resolves when the body is complete, or was cut off (see `cut`). Never rejects. */
  readonly finished: Promise<void>
  /** Whether the body was cut off: by `close()`, or by the network. */
  cut = false
  readonly #controller: AbortController
  readonly #timeoutMs: number
  readonly #waiting = new Set<() => void>()
  #isText = false
  /** Keys of the channels, on a route of several. */
  #keys = new Set<string>()

  constructor(readonly response: Response, controller: AbortController, timeoutMs = DEFAULT_TIMEOUT_MS) {
    this.#controller = controller
    this.#timeoutMs = timeoutMs
    this.finished = this.#read()
  }

  async #read(): Promise<void> {
    const parser = createParser({
      onEvent: event => this.#take(event),
      onComment: comment => void this.comments.push(comment),
      onRetry: retryMs => void (this.retryMs = retryMs),
    })
    const decoder = new TextDecoder()
    try {
      // The DOM's types do not declare that a stream is iterable, as Node's is.
      for await (const chunk of (this.response.body ?? []) as unknown as AsyncIterable<Uint8Array>) {
        const text = decoder.decode(chunk, { stream: true })
        this.raw += text
        parser.feed(text)
        for (const check of this.#waiting) check()
      }
    }
    catch {
      this.cut = true
    }
    for (const check of this.#waiting) check()
  }

  #take(received: EventSourceMessage): void {
    const { id, event, data } = received
    this.events.push(received)
    if (event === CONTROL_EVENT) this.#control(parseJson(data) as SSEControlSeen)
    else this.messages.push({ id, ...this.#nameOf(event), data: (this.#isText ? data : parseJson(data)) as T })
  }

  /** Key of the channel and own name of a message, on a route of several channels: `feed/created` on the wire. */
  #nameOf(event: string | undefined): Pick<SSEMessage, 'channel' | 'event'> {
    const [channel, ...name] = event?.split('/') ?? []
    if (channel === undefined || !this.#keys.has(channel)) return { event }
    return { channel, event: name.length ? name.join('/') : undefined }
  }

  #control(control: SSEControlSeen): void {
    this.controls.push(control)
    // Foreign servers may send any data under this event name.
    if (control?.type !== 'open') return
    this.#isText = control.text === true
    this.#keys = new Set(Object.keys(control.channels ?? {}))
  }

  get status(): number {
    return this.response.status
  }

  get headers(): Headers {
    return this.response.headers
  }

  /** Data of `messages`. */
  get data(): T[] {
    return this.messages.map(({ data }) => data)
  }

  /** Last ID received: a client would reconnect with it. */
  get position(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id
  }

  /**
   * Resolves as soon as `condition` holds. It is called after each received chunk, and at the end.
   *
   * @throws `COLLECT_TIMEOUT` after `timeoutMs` milliseconds, `COLLECT_ENDED` when the stream is over first. Both contain everything
   * received, in their text and in `details.received`.
   */
  async until(condition: (reader: this) => boolean, timeoutMs = this.#timeoutMs): Promise<this> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let over = false
    void this.finished.then(() => {
      over = true
      check()
    })
    const check = () => {
      try {
        if (condition(this)) resolve()
        else if (over) reject(this.#failure('COLLECT_ENDED', ', but it has ended'))
      }
      catch (error) {
        reject(error)
      }
    }
    const timer = setTimeout(() => reject(this.#failure('COLLECT_TIMEOUT', ` within ${Math.round(timeoutMs)} ms`)), timeoutMs)
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

  /** Closes the connection, as a client that leaves. */
  async close(): Promise<void> {
    this.#controller.abort()
    await this.finished
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #failure(code: string, how: string): SSEError {
    const { status, headers, messages, controls, raw } = this
    const shown = raw.length > SHOWN_CHARACTERS ? `…${raw.slice(-SHOWN_CHARACTERS)}` : raw
    return new SSEError(code, `Expected more of ${this.response.url}${how}. It answered ${status}, ${headers.get('content-type') ?? 'without a content type'}. Received so far (messages: ${messages.length}, control messages: ${controls.length}):\n${shown || '(nothing)'}`, {
      retry: false,
      details: { received: { status, messages, controls, raw } },
    })
  }
}

/**
 * Opens a route, and resolves when it has responded; its stream is read until you `close()`. For tests that act while a stream is open;
 * otherwise {@link collectSSE} is shorter.
 *
 * ```ts
 * await using reader = await readSSE(url('/api/feed'))
 * await publish('Hello')
 * await reader.until(({ messages }) => messages.length === 1)
 * ```
 *
 * @param url absolute, as returned by `url('/api/feed')` of `@nuxt/test-utils`
 * @throws `INVALID_OPTION`; `NETWORK` when no server responds; `COLLECT_TIMEOUT` when no headers arrive within `timeoutMs`
 */
export async function readSSE<T = unknown>(url: string | URL, options: SSEReaderOptions = {}): Promise<SSEReader<T>> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options
  if (!(timeoutMs > 0)) throw invalidOption('timeoutMs', 'a number of milliseconds, more than 0', timeoutMs)
  const [target, init] = prepare(url, options)
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(new SSEError('COLLECT_TIMEOUT', `Expected ${target} to answer within ${timeoutMs} ms: no headers came.`, { retry: false })), timeoutMs)
  try {
    return new SSEReader<T>(await fetch(target, { ...init, signal: controller.signal }), controller, timeoutMs)
  }
  catch (cause) {
    if (cause instanceof SSEError) throw cause
    throw new SSEError('NETWORK', `Expected ${target} to answer: nobody did. Is the server running?`, { retry: false, cause })
  }
  finally {
    clearTimeout(timer)
  }
}

function prepare(url: string | URL, { method, headers: headersInit, body, query, position }: SSEReaderOptions): [URL, RequestInit] {
  if (!URL.canParse(String(url))) throw invalidOption('url', 'absolute, as `url(\'/api/feed\')` of `@nuxt/test-utils` gives it', String(url))
  const target = new URL(url)
  for (const [name, value] of Object.entries({ position, ...query })) {
    if (value !== undefined) target.searchParams.set(name, String(value))
  }
  const headers = new Headers(headersInit)
  if (!headers.has('accept')) headers.set('accept', 'text/event-stream')
  return [target, { method: method ?? (body === undefined ? 'GET' : 'POST'), headers, body: encodeBody(body, headers) }]
}
