import { createParser } from 'eventsource-parser'
import { SSEError } from '../../shared/errors'
import { parseForeign, parseJson } from '../../shared/json'
import { CONTROL_EVENT } from '../../shared/protocol'
import { TaggedMessage } from '../wire/message'
import { isPrivateError } from '../wire/public-error'

/** How OpenAI, and those who speak its format, say that an answer is complete. */
const DONE = '[DONE]'

/**
 * How the data of a piped event stream is read. `json`: as JSON, or as the string that it is where it is no JSON. `text`: as a string.
 * A function gets the text and returns the data, or a message made by `sseMessage`; if it throws, the pipe fails.
 */
export type SSEPipeParse = 'json' | 'text' | ((text: string) => unknown)

export interface EventStreamReaderOptions {
  /** Of one message, in characters. */
  maxLength: number
  /** Default: by the stream. */
  parse?: SSEPipeParse
  /** The stream is known to come from a route of ours. Without it, a first message `open` tells. */
  isOurs?: boolean
}

/**
 * Reads an event stream (WHATWG HTML, section 9.2) that comes as bytes, into items under their event's name. IDs are dropped, since a
 * channel gives its own. `data: [DONE]` ends it.
 *
 * A stream from a route of ours speaks the protocol of `docs/protocol.md`: its control messages are obeyed and never items, its data is
 * JSON (or text, where `open` says so), and it is complete only after `end`. In any other stream, text that begins with `{` or `[`, and
 * is JSON, is parsed, and everything else is the string it was: `1.0` and ` 42` must not lose what a number cannot hold.
 */
export class EventStreamReader {
  /** The stream has said that it is complete. */
  over = false
  #isOurs: boolean
  #isText = false
  #isFirst = true
  #items: unknown[] = []
  /** Follows the items before it. */
  #failure?: unknown
  readonly #decoder = new TextDecoder()
  readonly #parser

  constructor(private readonly options: EventStreamReaderOptions) {
    this.#isOurs = options.isOurs ?? false
    this.#parser = createParser({
      maxBufferSize: options.maxLength,
      onEvent: ({ event, data }) => this.#take(event, data),
      onError: (error) => {
        // Any other is about a line that readers skip, by the standard.
        if (error.type !== 'max-buffer-size-exceeded') return
        this.#failure ??= new SSEError('MESSAGE_TOO_LARGE', `Expected the messages of a piped event stream to have at most ${options.maxLength} characters.`, { statusCode: 413, cause: error })
      },
    })
  }

  /** The items that this chunk completes. Then throws what ended the stream, or `MESSAGE_TOO_LARGE` if the next item is too long. */
  * read(chunk: Uint8Array): Generator<unknown> {
    this.#items = []
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }))
    yield* this.#items
    if (this.#failure !== undefined) throw this.#failure
  }

  /** No more bytes come. Throws where the stream would have said that it is complete. */
  end(): void {
    if (this.#isOurs && !this.over) throw interrupted('was cut off')
  }

  /** What a source that has failed with `error` means. */
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
        // With a name, it is one of several channels that has ended.
        this.over = fields.channel === undefined
        return
      case 'error': throw toldError(fields)
      case 'leave': throw interrupted('was ended by its server, which asked to connect again')
      case 'gap': throw new SSEError('GAP', `The source has lost ${typeof fields.missed === 'number' ? fields.missed : 'an unknown number of'} messages.`, { statusCode: 410, details: { gap: fields } })
      // A heartbeat, or a control message of a later version: no message of the application.
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

/** An error as the other server sent it: whatever is not of its type counts as not said. */
function toldError({ code, message, statusCode, retry }: Record<string, unknown>): SSEError {
  return new SSEError(typeof code === 'string' ? code : 'SOURCE_FAILED', typeof message === 'string' ? message : 'The stream failed because of an error on the server.', {
    statusCode: typeof statusCode === 'number' ? statusCode : undefined,
    retry: typeof retry === 'boolean' ? retry : undefined,
  })
}

function interrupted(how: string, cause?: unknown): SSEError {
  return new SSEError('SOURCE_INTERRUPTED', `The source of this stream ${how} before it was complete.`, { statusCode: 502, cause })
}
