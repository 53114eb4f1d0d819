import { SSEError, invalidOption } from '../shared/errors'
import type { SSESchema, SSESchemaMessage, SSESchemas } from '../shared/standard-schema'
import type { SSEMessage, SSETransport } from '../shared/types'
import { createSSEClient } from './client'
import * as fallback from './fallback/with-schemas'
import { resolveClientOptions } from './options'
import type { SSEClientOptions, SSEGap, SSEStatus } from './types'

/** The most messages that wait for the loop; beyond, nothing more is read until one is taken. */
const MAX_QUEUED = 64

export interface OpenSSEOptions<M extends SSEMessage = SSEMessage> extends SSEClientOptions<M> {
  /** Ends the loop when it is aborted, without throwing, as `close()` does. */
  signal?: AbortSignal
}

/** Messages that a source gives: of its schemas, if it has any. */
type MessageOf<T, S, E> = [S, E] extends [undefined, undefined] ? SSEMessage<T> : SSESchemaMessage<S, E>

export interface SSESource<M extends SSEMessage = SSEMessage> extends AsyncIterable<M>, AsyncDisposable {
  /** Ends the loop, and closes the connection. */
  close(): void
  readonly status: SSEStatus
  /** After the last message that the loop was given. */
  readonly position: string | undefined
  readonly transport: SSETransport
  readonly gap: SSEGap | undefined
  readonly error: SSEError | undefined
}

/**
 * A stream of messages as an async iterable, which reconnects and resumes by itself. Needs nothing but `fetch`: runs in
 * browsers, Node, Bun, Deno and workers. Connects at once. Can be iterated once.
 *
 * The loop ends when the source is complete. `close()` and `break` end it, and close the connection. A final failure is thrown out of
 * it: an {@link SSEError} with `code` and `statusCode`.
 *
 * @throws `INVALID_OPTION`; also for a relative url where there is no page that it could be relative to
 */
export function openSSE<T = unknown, S extends SSESchema | undefined = undefined, E extends SSESchemas | undefined = undefined>(
  url: string | URL,
  { signal, ...options }: Omit<OpenSSEOptions<MessageOf<T, S, E>>, 'schema' | 'events'> & { schema?: S, events?: E } = {},
): SSESource<MessageOf<T, S, E>> {
  const queue: { message: MessageOf<T, S, E>, position: string | undefined }[] = []
  let position: string | undefined
  // Set while somebody waits, and harmless afterwards. (Not all browsers have `Promise.withResolvers`.)
  let wakeLoop = () => {}
  let wakeTransport = () => {}
  let taken = false
  let dropped = false

  assertFetchable(String(url))
  const client = createSSEClient(String(url), resolveClientOptions(options as SSEClientOptions, loadFallback), {
    onMessage(message, position) {
      queue.push({ message: message as MessageOf<T, S, E>, position })
      wakeLoop()
      if (queue.length >= MAX_QUEUED) return new Promise(resolve => wakeTransport = resolve)
    },
    onState({ status }) {
      if (status === 'closed') over.abort()
      wakeLoop()
    },
  })
  /** Ends listening to the caller's signal, which may live on. */
  const over = new AbortController()

  let closed = false
  const close = () => {
    closed = true
    over.abort()
    client.stop()
    // The position stays behind what the loop was not given: that can be asked for again.
    dropped ||= queue.length > 0
    queue.length = 0
    wakeTransport()
    wakeLoop()
  }

  if (signal?.aborted) {
    close()
  }
  else {
    signal?.addEventListener('abort', close, { signal: over.signal })
    client.connect()
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
        else if (closed || client.state.status === 'closed') {
          if (client.state.error) throw client.state.error
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
      return client.state.status
    },
    get position() {
      return queue.length || dropped ? position : client.state.position
    },
    get transport() {
      return client.state.transport
    },
    get gap() {
      return client.state.gap
    },
    get error() {
      return client.state.error
    },
    [Symbol.asyncIterator]() {
      if (taken) throw new SSEError('INVALID_OPTION', 'A source can be iterated once: open another.')
      taken = true
      const messages = iterate()
      return {
        next: () => messages.next(),
        // A generator that waits hears of these only afterwards.
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

/** At hand: not every runtime and bundler can load a part of a program on demand. */
const loadFallback = () => Promise.resolve(fallback)

/** To `fetch` it would be one more failure of the network, to be tried again for ever. */
function assertFetchable(url: string): void {
  const base = (globalThis as { location?: { href?: string } }).location?.href
  try {
    void new URL(url, base)
  }
  catch {
    throw invalidOption('url', base ? 'a url' : 'an absolute url, as there is no page here that it could be relative to', url)
  }
}
