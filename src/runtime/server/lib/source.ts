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
