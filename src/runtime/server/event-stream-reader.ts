import { createParser } from 'eventsource-parser'
import { SSEError } from '../shared/errors'
import { parseJson } from '../shared/json'
import { TaggedMessage } from './message'

/** How OpenAI, and those who speak its format, say that an answer is complete. */
const DONE = '[DONE]'

/**
 * Reads an event stream (WHATWG HTML, section 9.2) that comes as bytes, into items: `data` as JSON, or as the text that it is,
 * under its event's name. Ids are left out, since a channel gives its own. `data: [DONE]` is its end.
 */
export class EventStreamReader {
  /** It has said that it is complete. */
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
        // Any other is about a line that the standard has readers skip.
        if (error.type === 'max-buffer-size-exceeded') this.#tooLong = error
      },
    })
  }

  /** What is complete with this chunk. Throws `MESSAGE_TOO_LARGE` behind it. */
  * read(chunk: Uint8Array): Generator<unknown> {
    this.#items = []
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }))
    yield* this.#items
    if (this.#tooLong) throw new SSEError('MESSAGE_TOO_LARGE', `[nuxt-sse] Expected the messages of a piped event stream to have at most ${this.maxLength} characters.`, { statusCode: 413, cause: this.#tooLong })
  }
}
