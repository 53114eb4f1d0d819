/** Value that a handler may return to stream it item by item. */
export type SSEIterableSource<Item = unknown> = AsyncIterable<Item> | Iterable<Item> | ReadableStream<Item>

export type SourceIterator = AsyncIterator<unknown> | Iterator<unknown>

export function isIterableSource(value: unknown): value is SSEIterableSource {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Symbol.asyncIterator in value || Symbol.iterator in value || 'getReader' in value
}

/** Kind of an unsuitable source. It does not contain the value, which may be secret: readers of a channel receive this text. */
export function kindOf(value: unknown): string {
  if (isGeneratorFunction(value)) return 'a generator function that was not called'
  return typeof value === 'object' ? Object.prototype.toString.call(value) : typeof value
}

/**
 * Whether a value is a generator function that was not called. As a clean-up it would do nothing, and a reader of it would wait forever.
 */
export function isGeneratorFunction(value: unknown): boolean {
  return /^\[object (?:Async)?GeneratorFunction\]$/.test(Object.prototype.toString.call(value))
}

/** Iterates over a source of any kind. `return` releases the source: a generator's `finally`, a stream's `cancel`. */
export function iterate(source: SSEIterableSource): SourceIterator {
  if ('getReader' in source) return iterateStream(source)
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
}

/** Releases a source that was never started, or is no longer read. Never throws. */
export async function release(iterator: SourceIterator, report: (error: unknown) => void): Promise<void> {
  try {
    await iterator.return?.()
  }
  catch (error) {
    report(error)
  }
}

/** Whether an error is an `AbortError`, which a source or handler that uses `connection.signal` throws when the client disconnects. */
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
      // Cancelling a failed stream rejects with the same error again.
      if (!errored) await reader.cancel()
      return { done: true, value: undefined }
    },
  }
}
