import type { ChatTransport, UIMessage, UIMessageChunk } from 'ai'
import { SSEError, openSSE } from '../client/index'
import type { SSESource } from '../client/index'
import type { SSEMessage } from '../shared/types'
import { request } from './request'
import type { Asker } from './request'

/** Body of a question, in characters, that may take longer to send than a connection may take to open. */
const LARGE_QUESTION = 65_536
const LARGE_QUESTION_TIMEOUT_MS = 60_000

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

interface Reading {
  chatId: string
  answer: string
  /** ID of the message, unless the server gives it one. */
  messageId?: string
  abortSignal?: AbortSignal
  headers?: HeadersInit
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
  /** Chats that are being resumed in this turn of the event loop. */
  readonly #resuming = new Set<string>()
  /** Answer to the newest question of each chat, and the end of its stream in this page. */
  readonly #newest = new Map<string, { answer: string, over: Promise<void> }>()

  constructor(options: SSEChatTransportOptions = {}) {
    this.#options = { api: '/api/chat', ...options }
  }

  async sendMessages({ chatId, messages, trigger, messageId, abortSignal, headers, body }: Parameters<ChatTransport<M>['sendMessages']>[0]): Promise<ReadableStream<UIMessageChunk>> {
    const question = JSON.stringify({ ...await fresh(this.#options.body), ...body, id: chatId, messages, trigger, messageId })
    const answer = newId()
    let onOver = () => {}
    this.#newest.set(chatId, { answer, over: new Promise(resolve => onOver = resolve) })
    // A message of the assistant that comes last is continued, under its own ID.
    return this.#read({ chatId, answer, messageId: messages.at(-1)?.role === 'assistant' ? undefined : answer, abortSignal, headers }, question, onOver)
  }

  /** `null` when no answer is being written. */
  async reconnectToStream({ chatId, abortSignal, headers }: Parameters<ChatTransport<M>['reconnectToStream']>[0]): Promise<ReadableStream<UIMessageChunk> | null> {
    this.#resuming.add(chatId)
    queueMicrotask(() => this.#resuming.delete(chatId))
    const before = this.#newest.get(chatId)
    const response = await request(this.#asker({ id: chatId }, headers), { method: 'GET', signal: abortSignal })
    const { answer } = response.status === 204 ? {} : await response.json() as { answer?: string }
    const newest = this.#newest.get(chatId)
    // The page sent a question while the server looked, and reads its answer. `useChat` is ready after `null`, so that has to wait for the end.
    const isOwn = newest !== before && (!answer || answer === newest!.answer)
    if (isOwn) await newest!.over
    if (isOwn || !answer) return null
    return this.#read({ chatId, answer, messageId: answer, abortSignal, headers })
  }

  /** Stops the answer that is being written in a chat, in all tabs. Rejects when the server cannot be reached or refuses. */
  async stop(chatId: string): Promise<void> {
    await request(this.#asker({ id: chatId }), { method: 'DELETE' })
  }

  /** Reads an answer. A `question` is sent first, by `POST` until a response has begun. Requests from then on are `GET`. */
  #read({ chatId, answer, messageId, abortSignal, headers }: Reading, question?: string, onOver?: () => void): ReadableStream<UIMessageChunk> {
    const asker = this.#asker({ id: chatId, answer }, headers)
    const { url, fetch: send } = asker
    let isAsked = question === undefined
    const source = openSSE<UIMessageChunk>(url, {
      credentials: asker.credentials,
      signal: abortSignal,
      headers: asker.headers,
      connectTimeoutMs: question && question.length > LARGE_QUESTION ? LARGE_QUESTION_TIMEOUT_MS : undefined,
      // A repeated question attaches to the answer of that ID. So the request is repeatable, although it is a POST.
      async fetch(input, init) {
        if (isAsked || init?.method !== 'GET' || !String(input).startsWith(url)) return send(input, init)
        const asking = new Headers(init.headers)
        asking.set('content-type', 'application/json')
        const response = await send(input, { ...init, method: 'POST', headers: asking, body: question })
        isAsked = response.ok
        return response
      },
    })
    // `useChat` aborts a reader when `resumeStream()` is called again, too: that call has begun by the next microtask, and stops nothing.
    abortSignal?.addEventListener('abort', () => queueMicrotask(() => {
      if (!this.#resuming.has(chatId)) request(asker, { method: 'DELETE', keepalive: true }).catch((error: unknown) => console.error('[nuxt-sse]', error))
    }), { once: true })
    return chunksOf(source, messageId, onOver)
  }

  /** Target and settings of the requests for one URL. */
  #asker(query: Record<string, string>, added?: HeadersInit): Asker {
    const { api, credentials, fetch: send = globalThis.fetch, headers: own } = this.#options
    return {
      url: `${api}${api.includes('?') ? '&' : '?'}${new URLSearchParams(query)}`,
      fetch: send,
      credentials,
      async headers() {
        const headers = new Headers(await fresh(own))
        new Headers(added).forEach((value, name) => headers.set(name, value))
        return headers
      },
    }
  }
}

/**
 * Chunks of an answer, in order and each once. A stopped answer ends with `abort`, and keeps what there is of it. The message gets `messageId`
 * where the server gives it none: so a page that reads the answer again replaces its message, and has no second one.
 */
function chunksOf(source: SSESource<SSEMessage<UIMessageChunk>>, messageId: string | undefined, onOver = () => {}): ReadableStream<UIMessageChunk> {
  const messages = source[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await messages.next()
        if (source.gap) throw new SSEError('GAP', 'Part of this answer is no longer available.', { statusCode: 410, details: { gap: source.gap } })
        if (!done) return controller.enqueue(value.data.type === 'start' ? { messageId, ...value.data } : value.data)
      }
      catch (error) {
        source.close()
        onOver()
        if (!(error instanceof SSEError && error.code === 'ABORTED')) return controller.error(error)
        controller.enqueue({ type: 'abort' })
      }
      onOver()
      controller.close()
    },
    cancel() {
      source.close()
      onOver()
    },
  })
}

/** Pages without TLS have no `crypto.randomUUID`. */
function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, '0')).join('')
}

async function fresh<T>(value: Fresh<T>): Promise<T> {
  return typeof value === 'function' ? (value as () => T | Promise<T>)() : value
}
