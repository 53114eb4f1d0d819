import { check, functionOf, whole } from '../shared/rules'
import type { SSEMessage } from '../shared/types'
import type { SSEControlSeen, SSEReader, SSEReaderOptions } from './sse-reader'
import { DEFAULT_TIMEOUT_MS, readSSE } from './sse-reader'

export interface SSECollectOptions<T = unknown> extends SSEReaderOptions {
  /** Stop after this many messages, at least 1. */
  count?: number
  /** Stop after the message for which this returns `true`. Called once per message, with all messages so far. */
  until?: (message: SSEMessage<T>, messages: SSEMessage<T>[]) => boolean
  /** Timeout for the whole call, headers included, in milliseconds. @default 5000 */
  timeoutMs?: number
}

/** Everything that one connection received. */
export interface SSECollected<T = unknown> {
  status: number
  headers: Headers
  /** Ordinary messages, in order, up to the last one requested. */
  messages: SSEMessage<T>[]
  /** The data of `messages`. */
  data: T[]
  /** Control messages `open`, `gap`, `end`, `error`, `leave`: those before the last of `messages`, or all if the stream was read to its end. */
  controls: SSEControlSeen[]
  /** Comments, including heartbeats. */
  comments: string[]
  /** Delay before a reconnect that the server sent, in milliseconds. */
  retryMs?: number
  /** Last ID received: pass it as the `position` of the next call to continue after it. */
  position?: string
  /** Body as it was on the wire. For a response that is no event stream, such as an error, this is the only content. */
  raw: string
}

/**
 * Opens a route and collects its messages: `count` of them, or up to `until(message)`, or, with neither, until the server ends the stream.
 * Then it disconnects. A response with an error status does not throw: check `status` and `raw`.
 *
 * ```ts
 * const { status, data } = await collectSSE(url('/api/clock'), { count: 3 })
 * ```
 *
 * @param url absolute, as returned by `url('/api/feed')` of `@nuxt/test-utils`
 * @throws `COLLECT_TIMEOUT` after `timeoutMs`, `COLLECT_ENDED` when the stream ends before the requested messages. Both contain everything
 * received, in their text and in `details.received`. `NETWORK` when no server responds, `INVALID_OPTION`.
 */
export async function collectSSE<T = unknown>(url: string | URL, options: SSECollectOptions<T> = {}): Promise<SSECollected<T>> {
  const { count, until, timeoutMs = DEFAULT_TIMEOUT_MS } = options
  if (count !== undefined) check('count', count, whole({ from: 1 }))
  if (until !== undefined) check('until', until, functionOf('of the message'))
  const deadline = performance.now() + timeoutMs
  const reader = await readSSE<T>(url, options)
  let over = false
  void reader.finished.then(() => over = true)
  let enough: number | undefined
  let asked = 0
  const isComplete = () => {
    if (count === undefined && !until) return over
    const { messages } = reader
    while (enough === undefined && asked < messages.length) {
      const message = messages[asked++]!
      if (asked === count || until?.(message, messages.slice(0, asked))) enough = asked
    }
    return enough !== undefined
  }
  try {
    await reader.until(isComplete, Math.max(1, deadline - performance.now()))
    return collected(reader, enough)
  }
  finally {
    await reader.close()
  }
}

/** Result without the messages after the last one requested, whose arrival depends on timing. */
function collected<T>(reader: SSEReader<T>, count = Infinity): SSECollected<T> {
  let messages = 0
  const end = reader.events.findIndex(({ event }) => event !== 'sse' && ++messages === count)
  const events = end < 0 ? reader.events : reader.events.slice(0, end + 1)
  const { status, headers, comments, retryMs, raw } = reader
  return {
    status,
    headers,
    messages: reader.messages.slice(0, count),
    data: reader.data.slice(0, count),
    controls: reader.controls.slice(0, events.filter(({ event }) => event === 'sse').length),
    comments: [...comments],
    retryMs,
    position: events.findLast(({ id }) => id !== undefined)?.id,
    raw,
  }
}
