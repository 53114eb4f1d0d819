import { createParser } from 'eventsource-parser'
import { SSEError } from '../shared/errors'
import { parseJson } from '../shared/json'
import { TaggedMessage } from './message'

/** How OpenAI, and those who speak its format, say that an answer is complete. */
const DONE = '[DONE]'

/**
 * Reads an event stream (WHATWG HTML, section 9.2) that comes as bytes, into items: `data` as JSON, or as the text that it is,
 * under its event's name. Ids are dropped, since a channel gives its own. `data: [DONE]` ends it.
 */
export class EventStreamReader {
  /** The stream has said that it is complete. */
  over = false
  #items: unknown[] = []
  #tooLong?: Error
  readonly #decoder = new TextDecoder()
  readonly #parser

  /** @param maxLength of one message, in characters */
  constructor(private readonly maxLength: number) {
    this.#parser = createParser({
      maxBufferSize: maxLength,
      onEvent: ({ event, data }) => {
        this.over ||= data === DONE
        if (!this.over) this.#items.push(event === undefined ? parseJson(data) : new TaggedMessage(parseJson(data), { event }))
      },
      onError: (error) => {
        // Any other is about a line that readers skip, by the standard.
        if (error.type === 'max-buffer-size-exceeded') this.#tooLong = error
      },
    })
  }

  /** The items that this chunk completes. Throws `MESSAGE_TOO_LARGE` after them if the next one is too long. */
  * read(chunk: Uint8Array): Generator<unknown> {
    this.#items = []
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }))
    yield* this.#items
    if (this.#tooLong) throw new SSEError('MESSAGE_TOO_LARGE', `[nuxt-sse] Expected the messages of a piped event stream to have at most ${this.maxLength} characters.`, { statusCode: 413, cause: this.#tooLong })
  }
}
