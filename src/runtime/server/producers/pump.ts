import type { EventStreamReader, SSEPipeParse } from './event-stream-reader'
import type { LogAppend } from '../drivers/types'
import type { SSEIterableSource, SourceIterator } from '../lib/source'
import { follow } from '../../shared/abort'
import { SSEError } from '../../shared/errors'
import { PROTOCOL_HEADER, STREAM_CONTENT_TYPE } from '../../shared/protocol'
import { check } from '../../shared/rules'
import type { Rule } from '../../shared/rules'
import { unlessAborted } from '../lib/abort'
import { isIterableSource, iterate, kindOf, release } from '../lib/source'
import { afterTick, pause } from '../lib/tick'

/** What is gathered while an append is under way; a source that reaches one of the two waits. */
const MAX_GATHERED_MESSAGES = 500
const MAX_GATHERED_LENGTH = 262_144
/** The least time between two appends of one source: a fast model costs a hundred a second at most, and nobody sees the difference. */
const APPEND_EVERY_MS = 10
/** How many characters of a response that cannot be piped go into the server's log. */
const MAX_SAID_LENGTH = 200

const PARSE: Rule = {
  test: value => value === 'json' || value === 'text' || typeof value === 'function',
  expected: '`"json"`, `"text"` or a function of the text',
}

/** What can be piped: items, or the bytes of an event stream, such as the answer of a model's provider. */
export type SSEPipeSource<Item = unknown> = SSEIterableSource<Item> | ReadableStream<Uint8Array> | Response

export interface PumpInit {
  /** When it aborts, the source is released, what it has given is still appended, and {@link pump} rejects with the reason. */
  signal: AbortSignal
  maxMessageBytes: number
  /** Of a source that comes as bytes. Default: JSON in streams of ours; in others, what begins with `{` or `[` and is JSON, else text. */
  parse?: SSEPipeParse
  /** Throws, or rejects, for an item that is refused. */
  encode(item: unknown): LogAppend | Promise<LogAppend>
  /** One at a time. */
  append(entries: LogAppend[]): Promise<void>
  /** Where errors go that nobody awaits. */
  report(error: unknown): void
  /** Told of a source that is released before it is complete. Nobody waits for that: a source may hang in an await of its own. */
  onRelease?(released: Promise<void>): void
}

/**
 * Appends what a source gives, in order, each item once. An item that is refused is thrown into the source at its `yield`, as in the
 * generator of a handler. What comes in one turn of the event loop, while an append is under
 * way, or within 10 ms of the last, is one append. Resolves when the source is complete and all of it is kept; rejects with
 * what the source threw, or the append.
 */
export async function pump(source: () => unknown, { signal, maxMessageBytes, parse, encode, append, report, onRelease }: PumpInit): Promise<void> {
  const gathered = new Gathered(append)
  // A source that is quiet must not hide for long that nothing can be appended any more.
  const stopped = follow(signal)
  gathered.onFailure = () => stopped.abort()
  // What is complete, or has failed, has released itself.
  let held: SourceIterator | undefined
  let reader: EventStreamReader | undefined
  try {
    if (parse !== undefined) check('parse', parse, PARSE)
    const { iterator, isOurs } = await begin(source, stopped.signal, report)
    held = iterator
    // Most applications never pipe bytes.
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
      gathered.add(entry instanceof Promise ? await unlessAborted(stopped.signal, () => entry) : entry)
      if (gathered.full) await unlessAborted(stopped.signal, () => gathered.room)
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
        // One chunk may have any number of messages.
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
    await gathered.flush()
    if (signal.aborted) throw signal.reason
    throw gathered.failure ?? error
  }
  finally {
    stopped.abort()
    if (held) onRelease?.(release(held, report))
  }
  await gathered.flush()
  if (gathered.failure) throw gathered.failure
}

interface Opened {
  iterator: SourceIterator
  /** Known to come from a route of this package. */
  isOurs?: boolean
}

/** A source may take its time to begin, and what begins too late is released. */
async function begin(source: () => unknown, signal: AbortSignal, report: (error: unknown) => void): Promise<Opened> {
  const opening = Promise.resolve().then(source).then(given => open(given, signal, report))
  try {
    return await unlessAborted(signal, () => opening)
  }
  catch (error) {
    opening.then(({ iterator }) => release(iterator, report), () => {})
    throw error
  }
}

/** Of a response, the body, if it is an event stream. What it says otherwise is for the server's log, and not for readers. */
async function open(source: unknown, signal: AbortSignal, report: (error: unknown) => void): Promise<Opened> {
  if (!(source instanceof Response)) {
    if (Array.isArray(source) || isIterableSource(source)) return { iterator: iterate(source) }
    throw new SSEError('INVALID_SOURCE', `Expected an async iterable, a ReadableStream or a Response to pipe, got ${kindOf(source)}.`)
  }
  const { ok, status, body, headers } = source
  const type = headers.get('content-type')
  const isOurs = headers.has(PROTOCOL_HEADER)
  // Of ours, the answer to who has read a channel to its end.
  if (isOurs && status === 204) return { iterator: iterate([]) }
  if (ok && body && (!type || type.toLowerCase().startsWith(STREAM_CONTENT_TYPE))) return { iterator: iterate(body), isOurs }
  throw new Error(`Expected a response to pipe to be an event stream, got status ${status}, \`${type}\`: ${body ? await beginningOf(body, signal, report) : ''}`)
}

/** The first characters of a body, for a log: it may be of any size, or endless. */
async function beginningOf(body: ReadableStream<Uint8Array>, signal: AbortSignal, report: (error: unknown) => void): Promise<string> {
  const iterator = iterate(body)
  const decoder = new TextDecoder()
  let text = ''
  try {
    while (text.length < MAX_SAID_LENGTH) {
      const { done, value } = await unlessAborted(signal, async () => iterator.next())
      if (done) break
      text += decoder.decode(value as Uint8Array, { stream: true })
    }
    return text.slice(0, MAX_SAID_LENGTH)
  }
  finally {
    void release(iterator, report)
  }
}

/** What waits to be appended, while one append is under way. */
class Gathered {
  /** The first append that failed: none is tried behind it. */
  failure?: unknown
  onFailure: () => void = () => {}
  #entries: LogAppend[] = []
  #length = 0
  #writing?: Promise<void>
  #flushing = false
  #room?: PromiseWithResolvers<void>
  /** Aborted when what is gathered should wait no longer. */
  #hurry = new AbortController()

  constructor(private readonly append: (entries: LogAppend[]) => Promise<void>) {}

  get full(): boolean {
    return this.#entries.length >= MAX_GATHERED_MESSAGES || this.#length >= MAX_GATHERED_LENGTH
  }

  /** Resolves when what is gathered is on its way. */
  get room(): Promise<void> {
    return (this.#room ??= Promise.withResolvers<void>()).promise
  }

  /** Nothing more will come. Resolves when all is appended, or one append has failed. Never rejects. */
  async flush(): Promise<void> {
    this.#flushing = true
    this.#hurry.abort()
    await this.#writing
  }

  add(entry: LogAppend): void {
    this.#entries.push(entry)
    this.#length += entry.data.length
    this.#writing ??= this.#write()
    if (this.full) this.#hurry.abort()
  }

  async #write(): Promise<void> {
    try {
      while (this.#entries.length) {
        // Each in a turn of its own: where neither source nor driver ever waits, nobody else would have one.
        await new Promise<void>(afterTick)
        const nextAt = performance.now() + APPEND_EVERY_MS
        await this.append(this.#take())
        await pause(Math.max(0, nextAt - performance.now()), this.#hurry.signal)
      }
    }
    catch (error) {
      this.failure ??= error
      this.onFailure()
    }
    // With no await since the last look at what is gathered: an item that comes later begins another write.
    if (this.failure === undefined) this.#writing = undefined
  }

  #take(): LogAppend[] {
    const entries = this.#entries
    this.#entries = []
    this.#length = 0
    this.#room?.resolve()
    this.#room = undefined
    // A signal is aborted once; after a flush there is nothing left to wait for.
    if (this.#hurry.signal.aborted && !this.#flushing) this.#hurry = new AbortController()
    return entries
  }
}
