import type { H3Event } from 'h3'
import { admit } from './admit'
import { startOfSource } from './position'
import type { SSECloseReason, SSEConnection } from '../connection/types'
import { Connection } from '../connection/connection'
import type { SSEContext } from '../context/context'
import { TaggedMessage, encodeItemText } from '../wire/message'
import type { ResolvedHandlerOptions } from '../options'
import { assertNotPrerendering } from './route-checks'
import type { SSEResponse } from '../http/sink'
import { createResponse, toHttpError } from '../http/response'
import { assertEvent, assertSize, encodeId, encodeMessage, encodeRetry } from '../wire/encode'

/** Counterpart of h3's `EventStreamMessage`: `data` is sent unchanged. */
export interface RawSSEMessage {
  id?: string
  event?: string
  /** Delay before a client reconnects, in milliseconds. */
  retry?: number
  data: string
}

/** Connection with the API of h3's `EventStream`. */
export interface RawSSEConnection extends Omit<SSEConnection, 'push' | 'onClosed'> {
  /**
   * Sends messages. As in h3, a string, or `{ id?, event?, retry?, data }`, is sent unchanged, and an array is several messages. Anything
   * else is sent as JSON (h3 sends an empty string), and so is `sseMessage(…)`. Resolves and rejects as {@link SSEConnection.push}.
   */
  push(message: string | string[] | RawSSEMessage | RawSSEMessage[] | TaggedMessage | unknown): Promise<boolean>
  onClosed(callback: () => unknown): () => void
  /**
   * Begins the response; return its promise from the handler. On Node it resolves when the response is over, on other runtimes when it has
   * begun.
   */
  send(): Promise<void>
}

/**
 * Creates the connection of `createSSEConnection` on a context. Throws an HTTP error beyond the module's limits, because no handler has
 * sent anything yet.
 */
export function createRawConnection(event: H3Event, options: ResolvedHandlerOptions, context: SSEContext): RawConnection {
  context.insight.onRequest(event)
  try {
    assertNotPrerendering(event)
    const { leave } = admit(event, options, context)
    const response = createResponse(event)
    const connection = new Connection(options, context, response, event)
    connection.start = () => ({ ...startOfSource(event, false), text: true })
    // Node reports the end of every response, also of one that never began because the handler threw. Other runtimes do not. There the
    // place is released at once: a place that is never released is worse than one that is not counted.
    if (leave && response.holdsRequest) connection.life.whenClosed(leave)
    else leave?.()
    return new RawConnection(response, connection)
  }
  catch (error) {
    context.insight.onRefuse(event, error)
    throw toHttpError(event, error)
  }
}

/** Implementation of `createSSEConnection`, without the context of a process. */
export class RawConnection implements RawSSEConnection {
  constructor(
    private readonly response: SSEResponse,
    private readonly connection: Connection,
  ) {}

  get signal(): AbortSignal {
    return this.connection.signal
  }

  get closed(): boolean {
    return this.connection.closed
  }

  get closeReason(): SSECloseReason | undefined {
    return this.connection.closeReason
  }

  push(message: unknown): Promise<boolean> {
    if (this.closed) return Promise.resolve(false)
    try {
      if (!isRaw(message)) return this.connection.queue(encodeItemText(message, this.connection.options.maxMessageBytes))
      const messages = Array.isArray(message) ? message : [message]
      // All messages are encoded before any is sent: an array that contains an invalid message sends nothing.
      const text = messages.map(one => this.#encode(one)).join('')
      return text === '' ? Promise.resolve(true) : this.connection.queue(text, messages.length)
    }
    catch (error) {
      return this.connection.refuse(error)
    }
  }

  comment(text: string): Promise<boolean> {
    return this.connection.comment(text)
  }

  onClosed(callback: () => unknown): () => void {
    return this.connection.onClosed(callback)
  }

  close(): Promise<void> {
    return this.connection.close()
  }

  leave(retryMs?: number): void {
    this.connection.leave(retryMs)
  }

  async send(): Promise<void> {
    this.connection.open()
    if (this.response.holdsRequest) await this.connection.life.done
    // On runtimes where h3 responds with the handler's result, this is the stream.
    return this.response.answer as void
  }

  #encode(message: string | RawSSEMessage): string {
    if (typeof message === 'string') message = { data: message }
    const { id, event, retry, data } = message
    assertEvent(event)
    assertSize(data, this.connection.options.maxMessageBytes)
    return (retry === undefined ? '' : encodeRetry(retry)) + encodeMessage({ id: encodeId(id), event, data })
  }
}

const RAW_FIELDS = new Set(['id', 'event', 'retry', 'data'])

function isRaw(message: unknown): message is string | RawSSEMessage | (string | RawSSEMessage)[] {
  if (Array.isArray(message)) return message.every(one => !Array.isArray(one) && isRaw(one))
  if (typeof message === 'string') return true
  return typeof message === 'object' && message !== null && !(message instanceof TaggedMessage)
    && typeof (message as RawSSEMessage).data === 'string' && Object.keys(message).every(key => RAW_FIELDS.has(key))
}
