import type { StartPosition } from '../connection/opening-block'
import type { SSERequest } from '../http/request'

const asked = new WeakMap<object, SSERequest['position']>()

/** Remembers that a hand-written source wants to know where to go on: it is resumable then. */
export function rememberAsked(event: object, position: SSERequest['position']): void {
  asked.set(event, position)
}

/** What the preamble says of a source that is no channel. `restarts` is told only where the source has no positions of its own. */
export function startOfSource(event: object, restarts: boolean): StartPosition {
  return asked.has(event) ? startOfHandwritten(event) : { restarts }
}

/**
 * What the preamble says of a hand-written source. At its first blank line, a stream without an `id` makes the browser forget the
 * one it had; so the position that was asked for is said back.
 */
function startOfHandwritten(event: object): StartPosition {
  const position = asked.get(event)
  if (!position || position.text === 'start' || position.text === 'now') return {}
  return { position: position.text, resumed: true }
}
