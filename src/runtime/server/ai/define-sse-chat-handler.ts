import type { UIMessage, UIMessageChunk } from 'ai'
import type { EventHandler, H3Event } from 'h3'
import { bodyOf, defineEventHandler, methodOf, queryOf, setHeaders } from '#sse/h3'
import { SSEError, printValue } from '../../shared/errors'
import { check, functionOf } from '../../shared/rules'
import { defineSSEHandler } from '../api/define-sse-handler'
import { sendNothing, toHttpError } from '../http/response'
import type { SSEOwnHandlerOptions } from '../options'
import type { SSEPipeSource } from '../producers/pump'
import { channelOfAnswer, isUnknown, startAnswer, stopAnswer, stopAnswers, unfinishedAnswerIn } from './chat-answers'

const MAX_ID_LENGTH = 256

/** One question to the model, as the client's transport has sent it. */
export interface SSEChat<M extends UIMessage = UIMessage> {
  /** ID of the chat, as `useChat` has it: 1 to 256 characters. */
  readonly id: string
  /** Messages of the chat, the question last. They come from a browser: validate them (`safeValidateUIMessages`) where that matters. */
  readonly messages: M[]
  /** `submit-message` for a new question, `regenerate-message` for another answer to an old one. */
  readonly trigger: 'submit-message' | 'regenerate-message'
  /** ID of the message to answer again, with `regenerate-message`. */
  readonly messageId?: string
  /** Whole body, including the fields that the transport's option `body` has added. */
  readonly body: Readonly<Record<string, unknown>>
  /** Aborts when the answer is stopped, from any page and on any instance. Pass it on as `abortSignal`. */
  readonly signal: AbortSignal
  /** Request with the question. Its response ends with its viewer, and the answer continues. */
  readonly event: H3Event
}

/** Result of `streamText`, its UI message stream, or the `Response` that the AI SDK makes of one. */
export type SSEChatAnswer = SSEPipeSource<UIMessageChunk> | { toUIMessageStream(): ReadableStream<UIMessageChunk> }

export interface SSEChatHandlerOptions extends SSEOwnHandlerOptions {
  /**
   * Called before each request for a chat: a question, a reader and a stop. Throw an error (h3's `createError` with 401 or 403) to refuse it.
   * Without it, a client that knows the ID of a chat can read it and send questions.
   */
  authorize?: (event: H3Event, chatId: string) => unknown
}

/**
 * Route for `useChat` of the AI SDK (`ai` 6 and 7) with `SSEChatTransport`. `answer` is called once for each question, and its result is kept in a
 * channel. So an answer survives reloads, other tabs, lost networks, and the instance that its viewer is connected to.
 *
 * One file serves all methods, e.g. `server/api/chat.ts`:
 * - `POST ?id=…&answer=…` sends a question, and streams the answer. A repeated request attaches to it.
 * - `GET ?id=…&answer=…` streams an answer from a position. Without `answer`: JSON `{ answer }` while one is being written, or if its instance
 *   was lost; else 204.
 * - `DELETE ?id=…&answer=…` stops an answer: 204. Without `answer`: the one that is being written.
 *
 * A new question stops the answer to the one before. If the instance that writes an answer is killed, readers receive `PRODUCER_LOST`.
 *
 * Answers are kept for `retention.maxAgeMs` (default 1 hour) and up to 50,000 chunks: store finished messages in your database (`onFinish`).
 *
 * @throws `INVALID_OPTION`. Requests are refused with `INVALID_QUERY` (400) for a missing or malformed `id`, `answer` or body, and with
 * `NO_ANSWER` (404) for an answer that was never requested or is no longer kept.
 */
export function defineSSEChatHandler<M extends UIMessage = UIMessage>(
  answer: (chat: SSEChat<M>) => SSEChatAnswer | Promise<SSEChatAnswer>,
  { authorize, ...options }: SSEChatHandlerOptions = {},
): EventHandler {
  check('answer', answer, functionOf('`(chat)` that returns the result of `streamText`, or a UI message stream'))
  if (authorize !== undefined) check('authorize', authorize, functionOf('`(event, chatId)`'))

  const stream = defineSSEHandler(async (event) => {
    const [id, answerId] = [chatIdOf(event), answerIdOf(event)]
    await authorize?.(event, id)
    const kept = { id, answerId, retention: options.retention }
    if (methodOf(event) === 'POST') {
      const body = await bodyOfChat(event)
      await startAnswer(kept, event, async (signal) => {
        const source = await answer({ ...body, id, body, signal, event } as unknown as SSEChat<M>)
        return hasStream(source) ? source.toUIMessageStream() : source
      })
    }
    const channel = channelOfAnswer(kept)
    // It would have nothing to read, ever.
    if (await isUnknown(channel)) throw new SSEError('NO_ANSWER', 'This answer is no longer available.', { statusCode: 404 })
    return channel
  }, { from: 'start', ...options })

  async function stop(event: H3Event): Promise<unknown> {
    const id = chatIdOf(event)
    await authorize?.(event, id)
    if (queryOf(event).answer === undefined) await stopAnswers(id)
    else await stopAnswer({ id, answerId: answerIdOf(event), retention: options.retention })
    return sendNothing(event)
  }

  async function find(event: H3Event): Promise<unknown> {
    const id = chatIdOf(event)
    await authorize?.(event, id)
    const answer = await unfinishedAnswerIn(id)
    setHeaders(event, { 'cache-control': 'no-store' })
    return answer ? { answer } : sendNothing(event)
  }

  return defineEventHandler((event) => {
    const method = methodOf(event)
    const refused = (error: unknown) => {
      throw toHttpError(event, error)
    }
    if (method === 'DELETE') return stop(event).catch(refused)
    if ((method === 'GET' || method === 'HEAD') && queryOf(event).answer === undefined) return find(event).catch(refused)
    return stream(event)
  }) as EventHandler
}

const hasStream = (source: SSEChatAnswer): source is { toUIMessageStream(): ReadableStream<UIMessageChunk> } => typeof (source as { toUIMessageStream?: unknown } | undefined)?.toUIMessageStream === 'function'

function chatIdOf(event: H3Event): string {
  const { id } = queryOf(event)
  if (typeof id === 'string' && id.length > 0 && id.length <= MAX_ID_LENGTH && id.isWellFormed()) return id
  throw refusedQuery('id', `the ID of a chat, of 1 to ${MAX_ID_LENGTH} characters`, id)
}

function answerIdOf(event: H3Event): string {
  const { answer } = queryOf(event)
  if (typeof answer === 'string' && /^[\w-]{1,64}$/.test(answer)) return answer
  throw refusedQuery('answer', 'the ID of an answer, of 1 to 64 letters, digits, `_` and `-`. Use `SSEChatTransport` of `nuxt-sse/ai` in the page', answer)
}

function refusedQuery(name: string, expected: string, got: unknown): SSEError {
  return new SSEError('INVALID_QUERY', `Expected the query parameter \`${name}\` to be ${expected}; got ${printValue(got)}.`, { statusCode: 400 })
}

/** Body of a question, as `HttpChatTransport` of the AI SDK sends it. */
async function bodyOfChat(event: H3Event): Promise<Record<string, unknown>> {
  const body = await bodyOf(event).catch((cause: unknown) => {
    throw new SSEError('INVALID_QUERY', 'Expected the body to be JSON.', { statusCode: 400, cause })
  })
  const { messages } = (body ?? {}) as { messages?: unknown }
  if (Array.isArray(messages)) return body as Record<string, unknown>
  throw new SSEError('INVALID_QUERY', `Expected the body to have an array of \`messages\`, got ${printValue(messages)}.`, { statusCode: 400 })
}
