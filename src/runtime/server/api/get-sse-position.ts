import type { H3Event } from 'h3'
import { askedOf } from '../serve/position'
import { toHttpError } from '../http/response'

/**
 * The position that the client asks a hand-written source to go on from: the `Last-Event-ID` header (WHATWG HTML,
 * section 9.2.4), else `?position=`. It is whatever id the source gave its last message (`sseMessage(data, { id })`), or
 * whatever a stranger wrote there: check it. `undefined` for a newcomer.
 *
 * Ask before the first `await` of a generator: the stream then begins by confirming the position.
 *
 * @throws an HTTP error 400, for a query that cannot be an id
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
