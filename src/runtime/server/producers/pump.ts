import type { EventStreamReader, SSEPipeParse } from './event-stream-reader'
import type { LogAppend } from '../drivers/types'
import type { SSEIterableSource, SourceIterator } from '../lib/source'
import { childController } from '../../shared/abort'
import { SSEError } from '../../shared/errors'
import { PROTOCOL_HEADER, STREAM_CONTENT_TYPE } from '../../shared/protocol'
import { check } from '../../shared/rules'
import type { Rule } from '../../shared/rules'
import { unlessAborted } from '../lib/abort'
import { isIterableSource, iterate, kindOf, release } from '../lib/source'
import { afterTick, pause } from '../lib/tick'

/** Limits of the buffer while an append is in flight. A source that reaches one of them waits. */
const MAX_BUFFERED_MESSAGES = 500
const MAX_BUFFERED_LENGTH = 262_144
/** Minimum time between two appends of one source. A fast model costs at most a hundred appends a second, without a visible difference. */
const APPEND_EVERY_MS = 10
/** Maximum length of the excerpt of an unsuitable response in the server's log, in characters. */
const MAX_EXCERPT_LENGTH = 200

const PARSE: Rule = {
  test: value => value === 'json' || value === 'text' || typeof value === 'function',
  expected: '`"json"`, `"text"` or a function of the text',
}

/** Source that can be piped: items, or the bytes of an event stream, such as the response of a model's provider. */
export type SSEPipeSource<Item = unknown> = SSEIterableSource<Item> | ReadableStream<Uint8Array> | Response

export interface PumpInit {
  /** When it aborts, the source is released, its items so far are appended, and {@link pump} rejects with the reason. */
  signal: AbortSignal
  maxMessageBytes: number
  /**
   * Parser for a source that consists of bytes. Default: JSON for streams of this module. For others, text that begins with `{` or `[` and
   * is JSON is parsed, and all other text stays a string.
   */
  parse?: SSEPipeParse
  /** Throws, or rejects, for an item that is refused. */
  encode(item: unknown): LogAppend | Promise<LogAppend>
  /** Called for one append at a time. */
  append(entries: LogAppend[]): Promise<void>
  /** Reports an error that no caller receives. */
  report(error: unknown): void
  /** Receives the release of a source that is not complete. It is not awaited: a source may hang in its own `await`. */
  onRelease?(released: Promise<void>): void
}

/**
 * Appends the items of a source, in order and each once. A refused item is thrown into the source at its `yield`, as in the generator of a
 * handler. Items form one append if they arrive in one turn of the event loop, while an
 * append is in flight, or within 10 ms of the previous append. Resolves when the source is complete and all items are stored. Rejects with
 * the error of the source or of an append.
 */
export async function pump(source: () => unknown, { signal, maxMessageBytes, parse, encode, append, report, onRelease }: PumpInit): Promise<void> {
  const buffer = new AppendBuffer(append)
  // A silent source must not hide that appends fail.
  const stopped = childController(signal)
  buffer.onFailure = () => stopped.abort()
  // Source to release. A source that is complete or has failed has released itself.
  let held: SourceIterator | undefined
  let reader: EventStreamReader | undefined
  try {
    if (parse !== undefined) check('parse', parse, PARSE)
    const { iterator, isOurs } = await begin(source, stopped.signal, report)
    held = iterator
    // Loaded on demand: most applications never pipe bytes.
    const readBytes = async () => new (await import('./event-stream-reader')).EventStreamReader({ maxLength: maxMessageBytes, parse, isOurs })
    if (isOurs) reader = await readBytes()
    let refusal: { readonly error: unknown } | undefined
    const next = async () => {
      // A source without `throw()` is released instead, and the channel fails.
      if (refusal && !iterator.throw) throw refusal.error
      try {
        return await (refusal ? iterator.throw!(refusal.error) : iterator.next())
      }
      catch (error) {
        held = undefined
        throw reader ? reader.failureOf(error) : error
      }
    }
    const add = async (entry: LogAppend | Promise<LogAppend>) => {
      buffer.add(entry instanceof Promise ? await unlessAborted(stopped.signal, () => entry) : entry)
      if (buffer.full) await unlessAborted(stopped.signal, () => buffer.room)
    }
    while (!reader?.over) {
      // A source that hangs must not outlive its abort.
      const { done, value } = await unlessAborted(stopped.signal, next)
      refusal = undefined
      if (done) {
        held = undefined
        reader?.end()
        break
      }
      if (value instanceof Uint8Array) {
        reader ??= await readBytes()
        // One chunk may contain any number of messages.
        for (const item of reader.read(value)) {
          await add(encode(item))
        }
      }
      else {
        try {
          await add(encode(value))
        }
        catch (error) {
          if (stopped.signal.aborted) throw error
          refusal = { error }
        }
      }
    }
  }
  catch (error) {
    await buffer.flush()
    if (signal.aborted) throw signal.reason
    throw buffer.failure ?? error
  }
  finally {
    stopped.abort()
    if (held) onRelease?.(release(held, report))
  }
  await buffer.flush()
  if (buffer.failure) throw buffer.failure
}

interface Opened {
  iterator: SourceIterator
  /** Whether it comes from a route of this module. */
  isOurs?: boolean
}

/** Opens a source. It may take time to begin; if it begins after the abort, it is released. */
async function begin(source: () => unknown, signal: AbortSignal, report: (error: unknown) => void): Promise<Opened> {
  const opening = Promise.resolve().then(source).then(opened => open(opened, signal, report))
  try {
    return await unlessAborted(signal, () => opening)
  }
  catch (error) {
    opening.then(({ iterator }) => release(iterator, report), () => {})
    throw error
  }
}

/**
 * Iterates over the source; over the body, if it is a response with an event stream. The text of any other response is for the server's log
 * only, and never for readers.
 */
async function open(source: unknown, signal: AbortSignal, report: (error: unknown) => void): Promise<Opened> {
  if (!(source instanceof Response)) {
    if (Array.isArray(source) || isIterableSource(source)) return { iterator: iterate(source) }
    throw new SSEError('INVALID_SOURCE', `Expected an async iterable, a ReadableStream or a Response to pipe, got ${kindOf(source)}.`)
  }
  const { ok, status, body, headers } = source
  const type = headers.get('content-type')
  const isOurs = headers.has(PROTOCOL_HEADER)
  // A route of this module responds so to a client that has read a channel to its end.
  if (isOurs && status === 204) return { iterator: iterate([]) }
  if (ok && body && (!type || type.toLowerCase().startsWith(STREAM_CONTENT_TYPE))) return { iterator: iterate(body), isOurs }
  throw new Error(`Expected a response to pipe to be an event stream, got status ${status}, \`${type}\`: ${body ? await readExcerpt(body, signal, report) : ''}`)
}

/** Reads the first characters of a body, for a log. The body may be of any size, or endless. */
async function readExcerpt(body: ReadableStream<Uint8Array>, signal: AbortSignal, report: (error: unknown) => void): Promise<string> {
  const iterator = iterate(body)
  const decoder = new TextDecoder()
  let text = ''
  try {
    while (text.length < MAX_EXCERPT_LENGTH) {
      const { done, value } = await unlessAborted(signal, async () => iterator.next())
      if (done) break
      text += decoder.decode(value as Uint8Array, { stream: true })
    }
    return text.slice(0, MAX_EXCERPT_LENGTH)
  }
  finally {
    void release(iterator, report)
  }
}

/** Items that wait while one append is in flight. */
class AppendBuffer {
  /** Error of the first append that failed. No append follows it. */
  failure?: unknown
  onFailure: () => void = () => {}
  #entries: LogAppend[] = []
  #length = 0
  #writing?: Promise<void>
  #flushing = false
  #room?: PromiseWithResolvers<void>
  /** Aborted to end the pause between two appends early. */
  #skipPause = new AbortController()

  constructor(private readonly append: (entries: LogAppend[]) => Promise<void>) {}

  get full(): boolean {
    return this.#entries.length >= MAX_BUFFERED_MESSAGES || this.#length >= MAX_BUFFERED_LENGTH
  }

  /** Resolves when the buffered items are being appended. */
  get room(): Promise<void> {
    return (this.#room ??= Promise.withResolvers<void>()).promise
  }

  /** Called after the last item. Resolves when all items are appended, or an append has failed. Never rejects. */
  async flush(): Promise<void> {
    this.#flushing = true
    this.#skipPause.abort()
    await this.#writing
  }

  add(entry: LogAppend): void {
    this.#entries.push(entry)
    this.#length += entry.data.length
    this.#writing ??= this.#write()
    if (this.full) this.#skipPause.abort()
  }

  async #write(): Promise<void> {
    try {
      while (this.#entries.length) {
        // One turn of the event loop for each append: if neither source nor driver ever waits, they would block everything else.
        await new Promise<void>(afterTick)
        const nextAt = performance.now() + APPEND_EVERY_MS
        await this.append(this.#take())
        await pause(Math.max(0, nextAt - performance.now()), this.#skipPause.signal)
      }
    }
    catch (error) {
      this.failure ??= error
      this.onFailure()
    }
    // No `await` since the last check of the buffer, so that a later item begins another write.
    if (this.failure === undefined) this.#writing = undefined
  }

  #take(): LogAppend[] {
    const entries = this.#entries
    this.#entries = []
    this.#length = 0
    this.#room?.resolve()
    this.#room = undefined
    // A signal can be aborted only once. After a flush there is nothing left to wait for.
    if (this.#skipPause.signal.aborted && !this.#flushing) this.#skipPause = new AbortController()
    return entries
  }
}
