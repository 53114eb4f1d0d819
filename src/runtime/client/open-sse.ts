import { SSEError, invalidOption } from '../shared/errors'
import type { SSESchema, SSESchemaMessage, SSESchemas } from '../shared/standard-schema'
import type { SSEMessage, SSETransport } from '../shared/types'
import { createSSEClient, initialState } from './client'
import { resolveClientOptions } from './options'
import { importSharing } from './parts'
import { callbackError, clientError } from './response'
import type { History } from './host'
import type { SSEClient, SSEClientEvents, SSEClientOptions, SSEClientState, SSEGap, SSEStatus } from './types'

/** Maximum number of messages that wait for the loop. When the queue is full, reading pauses until the loop takes one. */
const MAX_QUEUED = 64

/** Options of {@link openSSE}. */
export interface OpenSSEOptions<M extends SSEMessage = SSEMessage> extends SSEClientOptions<M> {
  /** Aborting it ends the loop without an error, as `close()` does. */
  signal?: AbortSignal
  /** Called when messages are lost for good. */
  onGap?: (gap: SSEGap) => void
}

/** Messages that a source gives: of its schemas, if it has any. */
type MessageOf<T, S, E> = [S, E] extends [undefined, undefined] ? SSEMessage<T> : SSESchemaMessage<S, E>

/** Messages of a source, for one `for await` loop. */
export interface SSESource<M extends SSEMessage = SSEMessage> extends AsyncIterable<M>, AsyncDisposable {
  /** Ends the loop and closes the connection. */
  close(): void
  /** State of the connection. */
  readonly status: SSEStatus
  /** Position after the last message that the loop received. Pass it as `position` to continue later. */
  readonly position: string | undefined
  /** Transport in use: `stream` or `poll`. */
  readonly transport: SSETransport
  /** Last gap: messages that are lost for good. */
  readonly gap: SSEGap | undefined
  /** Last error. `undefined` again with the next connection. */
  readonly error: SSEError | undefined
  /**
   * Messages right before the oldest one since the last gap, the oldest first; empty at the beginning of the channel. Calls run one after the
   * other. It uses the source's own method, query, headers and body. Default 50, at most 1,000. Rejects with an {@link SSEError}: `GAP` if
   * these messages are lost, `NOT_SUPPORTED` without a stored channel, `INVALID_OPTION` on a route of several without the option `channel`.
   */
  loadOlder(limit?: number): Promise<M[]>
}

/**
 * Async iterable of messages that reconnects and resumes by itself. It needs only `fetch`, and runs in browsers, Node, Bun, Deno and
 * workers. It connects at once, and can be iterated only once.
 *
 * The loop ends when the source is complete. `close()` and `break` end it early and close the connection. After a final failure, the loop
 * throws an {@link SSEError} with `code` and `statusCode`.
 *
 * @throws `INVALID_OPTION`, also for a relative URL where there is no page to resolve it against
 */
export function openSSE<T = unknown, S extends SSESchema | undefined = undefined, E extends SSESchemas | undefined = undefined>(
  url: string | URL,
  { signal, onGap, ...options }: Omit<OpenSSEOptions<MessageOf<T, S, E>>, 'schema' | 'events'> & { schema?: S, events?: E } = {},
): SSESource<MessageOf<T, S, E>> {
  const queue: { message: MessageOf<T, S, E>, position: string | undefined }[] = []
  let position: string | undefined
  // Resolve the promise that is being awaited, and do nothing later. (Not all browsers have `Promise.withResolvers`.)
  let wakeLoop = () => {}
  let wakeTransport = () => {}
  let taken = false
  let dropped = false
  let gap: SSEGap | undefined
  /** Last error, which may be that of `until`. */
  let error: SSEError | undefined

  assertFetchable(String(url))
  const until = options.until && ((message: MessageOf<T, S, E>) => {
    try {
      return options.until!(message)
    }
    catch (cause) {
      error = callbackError(cause)
    }
  })
  const resolved = resolveClientOptions({ ...options, until } as SSEClientOptions)
  const history: History = { options: resolved, url: () => String(url), state: current, past: {} }
  const events: SSEClientEvents = {
    onMessage(message, { position }) {
      history.past.oldest ??= message.id
      history.wake?.()
      queue.push({ message: message as MessageOf<T, S, E>, position })
      wakeLoop()
      if (queue.length >= MAX_QUEUED) return new Promise(resolve => wakeTransport = resolve)
    },
    onState(change) {
      if (change.gap && change.gap !== gap) {
        gap = change.gap
        history.past.oldest = undefined
        try {
          onGap?.(gap)
        }
        catch (cause) {
          error = callbackError(cause)
        }
      }
      history.wake?.()
      if ('error' in change) error = change.error
      if (change.status === 'closed') finished.abort()
      wakeLoop()
    },
  }
  /** With the option `channel`, `undefined` until its code is loaded. */
  let client: SSEClient | undefined
  /** State until there is a client. */
  let pending = initialState(resolved.transports[0]!)
  /** Aborted when the source is closed, which stops listening to the caller's signal. That signal can outlive the source. */
  const finished = new AbortController()

  let closed = false
  const close = () => {
    closed = true
    finished.abort()
    if (client) client.stop()
    else if (pending.status === 'connecting') setPending({ status: 'closed' })
    // The position stays before the messages that the loop did not receive, so that they can be requested again.
    dropped ||= queue.length > 0
    queue.length = 0
    wakeTransport()
    wakeLoop()
  }

  if (signal?.aborted) {
    close()
  }
  else {
    signal?.addEventListener('abort', close, { signal: finished.signal })
    if (options.channel === undefined) (client = createSSEClient(String(url), resolved, events)).connect()
    else void connectToChannel()
  }

  function current(): SSEClientState {
    return client?.state ?? pending
  }

  function setPending(change: Partial<SSEClientState>): void {
    pending = { ...pending, ...change }
    events.onState(change)
  }

  /** Loads the code that reads one of several channels, then connects. */
  async function connectToChannel(): Promise<void> {
    setPending({ status: 'connecting' })
    try {
      const { createSharedClient } = await importSharing()
      if (closed) return
      client = createSharedClient(String(url), resolved, events)
    }
    catch (cause) {
      if (!closed) setPending({ status: 'closed', error: clientError('SHARING_FAILED', 'The code for `channel` failed to load', cause) })
    }
    client?.connect()
  }

  async function* iterate(): AsyncGenerator<MessageOf<T, S, E>, void> {
    try {
      while (true) {
        const next = queue.shift()
        if (next) {
          if (queue.length < MAX_QUEUED) wakeTransport()
          position = next.position
          yield next.message
        }
        else if (closed || current().status === 'closed') {
          if (current().error) throw current().error
          return
        }
        else {
          await new Promise<void>(resolve => wakeLoop = resolve)
        }
      }
    }
    finally {
      close()
    }
  }

  return {
    close,
    get status() {
      return current().status
    },
    get position() {
      return queue.length || dropped ? position : current().position
    },
    get transport() {
      return current().transport
    },
    get gap() {
      return current().gap
    },
    get error() {
      return error
    },
    loadOlder: limit => resolved.loadFallback().then(({ loadOlder }) => loadOlder(history, limit)) as Promise<MessageOf<T, S, E>[]>,
    [Symbol.asyncIterator]() {
      if (taken) throw new SSEError('INVALID_OPTION', 'A source can be iterated only once. Open another.')
      taken = true
      const messages = iterate()
      return {
        next: () => messages.next(),
        // A generator that awaits handles `return` and `throw` only when its promise settles.
        return: () => {
          close()
          return messages.return()
        },
        throw: (error) => {
          close()
          return messages.throw(error)
        },
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(close()),
  }
}

/** Rejects an invalid URL at once. `fetch` would report it as a network failure, and the client would retry it forever. */
function assertFetchable(url: string): void {
  const base = (globalThis as { location?: { href?: string } }).location?.href
  try {
    void new URL(url, base)
  }
  catch {
    throw invalidOption('url', base ? 'a URL' : 'an absolute URL, since there is no page to resolve it against', url)
  }
}
