import { createParser } from 'eventsource-parser'
import { SSEError } from '../../shared/errors'
import { parseForeign, parseJson } from '../../shared/json'
import { CONTROL_EVENT } from '../../shared/protocol'
import { TaggedMessage } from '../wire/message'
import { isPrivateError } from '../wire/public-error'

/** End of a response in the format of OpenAI, which other providers use as well. */
const DONE = '[DONE]'

/**
 * Parser for the data of a piped event stream. `json`: as JSON, or as a string if it is not JSON. `text`: as a string. A function receives
 * the text and returns the data, or a message made by `sseMessage`; if it throws, the pipe fails.
 */
export type SSEPipeParse = 'json' | 'text' | ((text: string) => unknown)

export interface EventStreamReaderOptions {
  /** Maximum length of one message, in characters. */
  maxLength: number
  /** Default: depends on the stream, see {@link EventStreamReader}. */
  parse?: SSEPipeParse
  /** Whether the stream comes from a route of this module. If unset, a first message `open` shows it. */
  isOurs?: boolean
}

/**
 * Parses the bytes of an event stream (WHATWG HTML, section 9.2) into items with their event names. IDs are dropped, since a channel
 * assigns its own. `data: [DONE]` ends the stream.
 *
 * A stream from a route of this module uses the protocol of `docs/reference/protocol.md`. Its control messages are obeyed and are never items, its
 * data is JSON (or text, if `open` declares it), and it is complete only after `end`. In any other stream, text that begins with `{` or `[`
 * and is JSON is parsed. All other text stays a string: as numbers, `1.0` and ` 42` would lose characters.
 */
export class EventStreamReader {
  /** Whether the stream has declared that it is complete. */
  over = false
  #isOurs: boolean
  #isText = false
  #isFirst = true
  #items: unknown[] = []
  /** Error to throw after the items before it. */
  #failure?: unknown
  readonly #decoder = new TextDecoder()
  readonly #parser

  constructor(private readonly options: EventStreamReaderOptions) {
    this.#isOurs = options.isOurs ?? false
    this.#parser = createParser({
      maxBufferSize: options.maxLength,
      onEvent: ({ event, data }) => this.#take(event, data),
      onError: (error) => {
        // Every other error is about a line that the standard lets readers skip.
        if (error.type !== 'max-buffer-size-exceeded') return
        this.#failure ??= new SSEError('MESSAGE_TOO_LARGE', `A message of the piped event stream is longer than ${options.maxLength} characters. Raise \`maxMessageBytes\` to accept it.`, { statusCode: 413, cause: error })
      },
    })
  }

  /**
   * Yields the items that a chunk completes. Then throws the error that ended the stream, or `MESSAGE_TOO_LARGE` if the next item is too
   * long.
   */
  * read(chunk: Uint8Array): Generator<unknown> {
    this.#items = []
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }))
    yield* this.#items
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Called after the last byte. Throws `SOURCE_INTERRUPTED` if the stream should have declared its end. */
  end(): void {
    if (this.#isOurs && !this.over) throw interrupted('was cut off')
  }

  /** Error to report for a source that failed with `error`. */
  failureOf(error: unknown): unknown {
    return this.#isOurs && isPrivateError(error) ? interrupted('was cut off', error) : error
  }

  #take(event: string | undefined, text: string): void {
    if (this.over || this.#failure !== undefined) return
    try {
      const control = event === CONTROL_EVENT ? asControl(text) : undefined
      if (this.#isFirst && control?.type === 'open' && typeof control.heartbeatMs === 'number') this.#isOurs = true
      this.#isFirst = false
      if (this.#isOurs && control) return this.#obey(control)
      this.over = text === DONE
      if (this.over) return
      const item = this.#parse(text)
      this.#items.push(event === undefined || item instanceof TaggedMessage ? item : new TaggedMessage(item, { event }))
    }
    catch (error) {
      this.#failure = error
    }
  }

  #obey({ type, ...fields }: Control): void {
    switch (type) {
      case 'open':
        this.#isText = fields.text === true
        return
      case 'end':
        // With the name of a channel, `end` is about that one of several.
        this.over = fields.channel === undefined
        return
      case 'error': throw receivedError(fields)
      case 'leave': throw interrupted('was disconnected by its server')
      case 'gap': throw new SSEError('GAP', `The source of this stream lost ${typeof fields.missed === 'number' ? fields.missed : 'an unknown number of'} messages.`, { statusCode: 410, details: { gap: fields } })
      // Heartbeats, and control messages of later versions, are not messages of the application.
    }
  }

  #parse(text: string): unknown {
    const { parse = this.#isOurs ? (this.#isText ? 'text' : 'json') : undefined } = this.options
    if (typeof parse === 'function') return parse(text)
    if (parse === 'text') return text
    return parse === 'json' ? parseJson(text) : parseForeign(text)
  }
}

interface Control extends Record<string, unknown> {
  type: string
}

function asControl(text: string): Control | undefined {
  const data = parseJson(text) as Control | null
  return typeof data === 'object' && typeof data?.type === 'string' ? data : undefined
}

/** Error that the other server sent. Fields of an unexpected type count as absent. */
function receivedError({ code, message, statusCode, retry }: Record<string, unknown>): SSEError {
  return new SSEError(typeof code === 'string' ? code : 'SOURCE_FAILED', typeof message === 'string' ? message : 'The stream failed because of an error on the server.', {
    statusCode: typeof statusCode === 'number' ? statusCode : undefined,
    retry: typeof retry === 'boolean' ? retry : undefined,
  })
}

function interrupted(how: string, cause?: unknown): SSEError {
  return new SSEError('SOURCE_INTERRUPTED', `The source of this stream ${how} before it was complete.`, { statusCode: 502, cause })
}
