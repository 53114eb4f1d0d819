import { SSEError } from '../../shared/errors'
import { assertEvent, encodeData, encodeId, encodeMessage } from './encode'

export interface SSEMessageFields<E extends string | undefined = string | undefined> {
  /** SSE `event` field. `sse` is reserved. */
  event?: E
  /**
   * SSE `id` field, for sources that can continue after a given ID (see `getSSEPosition`). An empty one resets the ID that the client
   * remembers. A channel assigns IDs itself and refuses this field.
   */
  id?: string | number
}

/** Message with a name or an ID, created by `sseMessage`. A class, so that plain data is never mistaken for one. */
export class TaggedMessage<T = unknown, E extends string | undefined = string | undefined> {
  constructor(readonly data: T, readonly fields: SSEMessageFields<E>) {}
}

/**
 * Message with an event name or an ID: a source yields it, or `connection.push` sends it, instead of plain data. The fields are checked
 * when it is sent (`INVALID_EVENT`, `RESERVED_EVENT`, `INVALID_ID`).
 */
export function sseMessage<T, const E extends string | undefined>(data: T, fields: SSEMessageFields<E> & { event: E }): TaggedMessage<T, E>
export function sseMessage<T, const E extends string | undefined = undefined>(data: T, fields?: SSEMessageFields<E>): TaggedMessage<T, E | undefined>
export function sseMessage<T, const E extends string | undefined>(data: T, fields: SSEMessageFields<E> = {}): TaggedMessage<T, E> {
  return new TaggedMessage(data, fields)
}

/** Checked fields of a message, with its data as JSON. */
export interface EncodedMessage<Data = string> {
  id?: string
  event?: string
  data: Data
}

/**
 * Encodes an item of a source: plain data, or a message created by `sseMessage`. Throws the codes of {@link encodeData}, {@link
 * assertEvent} and {@link encodeId}.
 */
export function encodeItem(item: unknown, maxMessageBytes: number, fields?: SSEMessageFields): EncodedMessage {
  return encode(item, maxMessageBytes, fields, asText)
}

/** Encodes an item of a source as the text of one message on the wire. */
export function encodeItemText(item: unknown, maxMessageBytes: number, fields?: SSEMessageFields): string {
  return encodeMessage(encodeItem(item, maxMessageBytes, fields))
}

/** Encodes an item for a channel, which assigns IDs itself: an item with an ID is refused with `INVALID_ID`. */
export function encodeEntry(item: unknown, maxMessageBytes: number, event?: string): { event?: string, data: string } {
  return encodePacked(item, maxMessageBytes, event, asText)
}

/**
 * Encodes an item as {@link encodeEntry} does, and passes the JSON to `pack` before any object refers to it. While V8 marks, it keeps a
 * string that is stored in an object until its next full collection, even if the object is garbage at once.
 */
export function encodePacked<Data>(item: unknown, maxMessageBytes: number, event: string | undefined, pack: (json: string) => Data): { event?: string, data: Data } {
  const { id, ...entry } = encode(item, maxMessageBytes, event === undefined ? undefined : { event }, pack)
  if (id === undefined) return entry
  throw new SSEError('INVALID_ID', 'Expected a message without an ID. A channel assigns the IDs of its messages itself.')
}

function encode<Data>(item: unknown, maxMessageBytes: number, fields: SSEMessageFields | undefined, pack: (json: string) => Data): EncodedMessage<Data> {
  const tagged = item instanceof TaggedMessage
  const { event, id } = { ...(tagged ? item.fields : undefined), ...fields }
  assertEvent(event)
  return { id: encodeId(id), event, data: pack(encodeData(tagged ? item.data : item, maxMessageBytes)) }
}

export function asText(json: string): string {
  return json
}
