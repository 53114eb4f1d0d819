import type { SSEMessageFields } from '../wire/message'
import { TaggedMessage } from '../wire/message'

/**
 * Message with an event name or an ID: a source yields it, or `connection.push` sends it, instead of plain data. The fields are checked
 * when it is sent (`INVALID_EVENT`, `RESERVED_EVENT`, `INVALID_ID`).
 */
export function sseMessage<T, const E extends string | undefined>(data: T, fields: SSEMessageFields<E> & { event: E }): TaggedMessage<T, E>
export function sseMessage<T, const E extends string | undefined = undefined>(data: T, fields?: SSEMessageFields<E>): TaggedMessage<T, E | undefined>
export function sseMessage<T, const E extends string | undefined>(data: T, fields: SSEMessageFields<E> = {}): TaggedMessage<T, E> {
  return new TaggedMessage(data, fields)
}
