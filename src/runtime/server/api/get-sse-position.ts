import type { H3Event } from 'h3'
import { askedOf } from '../serve/position'
import { toHttpError } from '../http/response'

/**
 * Position from which the client requests a hand-written source to continue: the `Last-Event-ID` header (WHATWG HTML, section 9.2.4), else
 * `?position=`. It is the ID that the source gave its last message (`sseMessage(data, { id })`). It is untrusted input: validate it.
 * `undefined` for a new client.
 *
 * Call this before the first `await` of a generator: the stream then begins by confirming the position.
 *
 * @throws an HTTP error 400, for a query that cannot be an ID
 */
export function getSSEPosition(event: H3Event): string | undefined {
  try {
    const asked = askedOf(event)
    asked.byHandler = true
    return asked.position?.text
  }
  catch (error) {
    throw toHttpError(event, error)
  }
}
