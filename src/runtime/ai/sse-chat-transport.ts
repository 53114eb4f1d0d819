import type { ChatTransport, UIMessage, UIMessageChunk } from 'ai'
import { SSEError, openSSE } from '../client/index'
import type { SSESource } from '../client/index'
import type { SSEMessage } from '../shared/types'

type Fresh<T> = T | (() => T | Promise<T>)

export interface SSEChatTransportOptions {
  /** Route of {@link defineSSEChatHandler}. Default `/api/chat`. */
  api?: string
  /** Headers of each request. A function is called for each one, e.g. for a fresh token. */
  headers?: Fresh<HeadersInit | undefined>
  /** Fields added to the body of each question. */
  body?: Fresh<object | undefined>
  /** Credentials mode of `fetch`. Default `same-origin`. */
  credentials?: RequestCredentials
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch
}

/**
 * Transport for `useChat` of the AI SDK (`ai` 6 and 7) whose answers survive reloads, other tabs and lost networks. It reconnects and resumes by
 * itself, with a polling fallback, as `openSSE` does.
 *
 * - `resumeStream()`, e.g. in `onMounted`, continues the answer that is being written, from its first chunk.
 * - `stop()` of `useChat` stops the model, and so the answer in all tabs. Leaving the page does not.
 * - Failures reach `error` of `useChat` as an {@link SSEError}: e.g. `PRODUCER_LOST` when the instance that wrote the answer is gone. Offer
 *   `regenerate()` then.
 */
export class SSEChatTransport<M extends UIMessage = UIMessage> implements ChatTransport<M> {
  readonly #options: SSEChatTransportOptions & { api: string }

  constructor(options: SSEChatTransportOptions = {}) {
    this.#options = { api: '/api/chat', ...options }
  }

  async sendMessages({ chatId, messages, trigger, messageId, abortSignal, headers, body }: Parameters<ChatTransport<M>['sendMessages']>[0]): Promise<ReadableStream<UIMessageChunk>> {
    const question = JSON.stringify({ ...await fresh(this.#options.body), ...body, id: chatId, messages, trigger, messageId })
    return this.#read(chatId, crypto.randomUUID(), { abortSignal, headers, question })
  }

  /** `null` when no answer is being written. */
  async reconnectToStream({ chatId, abortSignal, headers }: Parameters<ChatTransport<M>['reconnectToStream']>[0]): Promise<ReadableStream<UIMessageChunk> | null> {
    const response = await this.#fetch('GET', { id: chatId }, headers, abortSignal)
    if (response.status === 204) return null
    const { answer } = await response.json() as { answer: string }
    return this.#read(chatId, answer, { abortSignal, headers })
  }

  /** Stops the answer that is being written in a chat, in all tabs. Rejects when the server cannot be reached or refuses. */
  async stop(chatId: string): Promise<void> {
    await this.#fetch('DELETE', { id: chatId })
  }

  /** Reads an answer, and asks for it first if there is a `question`: `POST` until a response has begun, and `GET` from then on. */
  #read(id: string, answer: string, { abortSignal, headers, question }: { abortSignal?: AbortSignal, headers?: HeadersInit, question?: string }): ReadableStream<UIMessageChunk> {
    const { credentials, fetch: send = globalThis.fetch } = this.#options
    const url = this.#urlOf({ id, answer })
    let isAsked = question === undefined
    const source = openSSE<UIMessageChunk>(url, {
      credentials,
      signal: abortSignal,
      headers: () => this.#headersOf(headers),
      // Asking again with the same ID of an answer attaches to it. So the request may be repeated, although it is a POST.
      async fetch(input, init) {
        if (isAsked || init?.method !== 'GET' || !String(input).startsWith(url)) return send(input, init)
        const asking = new Headers(init.headers)
        asking.set('content-type', 'application/json')
        const response = await send(input, { ...init, method: 'POST', headers: asking, body: question })
        isAsked = response.ok
        return response
      },
    })
    abortSignal?.addEventListener('abort', () => {
      this.stop(id).catch((error: unknown) => console.error('[nuxt-sse]', error))
    }, { once: true })
    return chunksOf(source)
  }

  async #fetch(method: string, query: Record<string, string>, headers?: HeadersInit, signal?: AbortSignal): Promise<Response> {
    const { credentials, fetch: send = globalThis.fetch } = this.#options
    const response = await send(this.#urlOf(query), { method, credentials, headers: await this.#headersOf(headers), signal })
    if (response.ok) return response
    const { message, data } = await response.json().catch(() => ({})) as { message?: string, data?: { code?: string } }
    throw new SSEError(data?.code ?? 'HTTP_ERROR', message ?? `The server responded with ${response.status}.`, { statusCode: response.status })
  }

  #urlOf(query: Record<string, string>): string {
    const { api } = this.#options
    return `${api}${api.includes('?') ? '&' : '?'}${new URLSearchParams(query)}`
  }

  async #headersOf(added?: HeadersInit): Promise<Headers> {
    const headers = new Headers(await fresh(this.#options.headers))
    new Headers(added).forEach((value, name) => headers.set(name, value))
    return headers
  }
}

/** Chunks of an answer, in order and each once. A stopped answer ends with `abort`, and keeps what there is of it. */
function chunksOf(source: SSESource<SSEMessage<UIMessageChunk>>): ReadableStream<UIMessageChunk> {
  const messages = source[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await messages.next()
        if (source.gap) throw new SSEError('GAP', 'Part of this answer is no longer available.', { statusCode: 410, details: { gap: source.gap } })
        if (done) controller.close()
        else controller.enqueue(value.data)
      }
      catch (error) {
        source.close()
        if (!(error instanceof SSEError && error.code === 'ABORTED')) return controller.error(error)
        controller.enqueue({ type: 'abort' })
        controller.close()
      }
    },
    cancel: () => source.close(),
  })
}

async function fresh<T>(value: Fresh<T>): Promise<T> {
  return typeof value === 'function' ? (value as () => T | Promise<T>)() : value
}
