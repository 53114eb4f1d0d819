import type { SSEMessageFields } from '../wire/message'
import { TaggedMessage } from '../wire/message'

/**
 * Names one message, or gives it an id: what a source yields, or `connection.push` takes, instead of plain data.
 * The fields are checked when it is sent (`INVALID_EVENT`, `RESERVED_EVENT`, `INVALID_ID`).
 */
export function sseMessage<T, const E extends string | undefined>(data: T, fields: SSEMessageFields<E> & { event: E }): TaggedMessage<T, E>
export function sseMessage<T, const E extends string | undefined = undefined>(data: T, fields?: SSEMessageFields<E>): TaggedMessage<T, E | undefined>
export function sseMessage<T, const E extends string | undefined>(data: T, fields: SSEMessageFields<E> = {}): TaggedMessage<T, E> {
  return new TaggedMessage(data, fields)
}
