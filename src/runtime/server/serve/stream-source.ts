import type { Connection, ConnectionContext } from '../connection/connection'
import { isForTheLog, publicError } from '../wire/public-error'

/** What a handler may return to be streamed item by item. */
export type SSEIterableSource<Item = unknown> = AsyncIterable<Item> | Iterable<Item> | ReadableStream<Item>

export type SourceIterator = AsyncIterator<unknown> | Iterator<unknown>

export function isIterableSource(value: unknown): value is SSEIterableSource {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Symbol.asyncIterator in value || Symbol.iterator in value || 'getReader' in value
}

/** The kind of what was given in place of a source. Not its contents, which may be secret: readers of a channel are told this. */
export function kindOf(value: unknown): string {
  if (isGeneratorFunction(value)) return 'a generator function that was not called'
  return typeof value === 'object' ? Object.prototype.toString.call(value) : typeof value
}

/** Whether a generator function was not called. As a clean-up it would do nothing, and its reader would wait for ever. */
export function isGeneratorFunction(value: unknown): boolean {
  return /^\[object (?:Async)?GeneratorFunction\]$/.test(Object.prototype.toString.call(value))
}

/** The items of a source of any kind. Its `return` releases the source: a generator's `finally`, a stream's `cancel`. */
export function iterate(source: SSEIterableSource): SourceIterator {
  if ('getReader' in source) return iterateStream(source)
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
}

/** Releases a source that was never started, or whose reader has gone. Never throws. */
export async function release(iterator: SourceIterator, report: (error: unknown) => void): Promise<void> {
  try {
    await iterator.return?.()
  }
  catch (error) {
    report(error)
  }
}

/**
 * Streams a source: it is asked for the next item only while the connection has room. Ends the connection with `end` when
 * the source is complete and with `error` when it throws; releases the source when the connection is over first.
 *
 * An item that cannot be sent is thrown into the generator, at its `yield`: it may catch and go on, or fail loudly.
 * Never rejects. `subject` is what the log calls it.
 */
export async function streamSource(connection: Connection, iterator: SourceIterator, report: ConnectionContext['report'], subject: string, open: () => void): Promise<void> {
  let over = false
  const advance = async (step: () => ReturnType<SourceIterator['next']>) => {
    try {
      const result = await step()
      over = result.done === true
      return result
    }
    catch (error) {
      over = true
      throw error
    }
  }
  connection.onClosed(() => {
    // As with `for await`, a source that is complete or has failed has released itself. Not awaited: a generator that hangs in
    // an `await` of its own must not hold back the end of the response.
    if (!over) return release(iterator, report)
  })
  try {
    // A generator runs up to its first await before the preamble is sent, so that it can still look at the request.
    let step = advance(() => iterator.next())
    open()
    while (true) {
      const { done, value } = await step
      if (connection.closed) return
      if (done) return void connection.close()
      const refusal = await refusalOf(connection, value)
      if (connection.closed) return
      // An iterator without throw() cannot be told; its reader is.
      if (refusal !== undefined && !iterator.throw) throw refusal
      step = advance(() => refusal === undefined ? iterator.next() : iterator.throw!(refusal))
    }
  }
  catch (error) {
    if (isForTheLog(error) && !(connection.closed && isAbort(error))) report(error, 'source', subject)
    if (!connection.closed) connection.fail(publicError(error))
  }
}

async function refusalOf(connection: Connection, value: unknown): Promise<unknown> {
  try {
    await connection.send(value)
  }
  catch (error) {
    return error
  }
}

/** A source or a handler that listens to `connection.signal` is meant to fail like this when the client leaves. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

function iterateStream(stream: ReadableStream<unknown>): AsyncIterator<unknown> {
  const reader = stream.getReader()
  let errored = false
  return {
    async next() {
      try {
        const { done, value } = await reader.read()
        return done ? { done, value: undefined } : { done, value }
      }
      catch (error) {
        errored = true
        throw error
      }
    },
    async return() {
      // Cancelling a stream that has failed rejects with the same error a second time.
      if (!errored) await reader.cancel()
      return { done: true, value: undefined }
    },
  }
}
