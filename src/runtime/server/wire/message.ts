import { SSEError } from '../../shared/errors'
import { assertEvent, encodeData, encodeId, encodeMessage } from './encode'

export interface SSEMessageFields<E extends string | undefined = string | undefined> {
  /** The SSE `event` field. `sse` is reserved. */
  event?: E
  /**
   * The SSE `id` field, for sources that can be asked to go on behind it (see `getSSEPosition`). An empty one resets what
   * the client remembers. A channel gives its messages ids of its own and refuses this.
   */
  id?: string | number
}

/** A message with a name or an id, as made by `sseMessage`. A class, so that no plain data can be taken for one. */
export class TaggedMessage<T = unknown, E extends string | undefined = string | undefined> {
  constructor(readonly data: T, readonly fields: SSEMessageFields<E>) {}
}

/** The fields of a message, checked, its data as JSON. */
export interface EncodedMessage<Data = string> {
  id?: string
  event?: string
  data: Data
}

/** Takes what a source yields: plain data, or a message made by `sseMessage`. Throws the codes of {@link encodeData}, {@link assertEvent} and {@link encodeId}. */
export function encodeItem(item: unknown, maxMessageBytes: number, fields?: SSEMessageFields): EncodedMessage {
  return encode(item, maxMessageBytes, fields, asText)
}

/** The same as the text of one message on the wire. */
export function encodeItemText(item: unknown, maxMessageBytes: number, fields?: SSEMessageFields): string {
  return encodeMessage(encodeItem(item, maxMessageBytes, fields))
}

/** The same for a channel, which gives its messages ids of its own: one with an id is refused with `INVALID_ID`. */
export function encodeEntry(item: unknown, maxMessageBytes: number, event?: string): { event?: string, data: string } {
  return encodePacked(item, maxMessageBytes, event, asText)
}

/**
 * {@link encodeEntry}, with the JSON given to `pack` before any object refers to it. While V8 marks, it keeps a string that is stored in
 * an object until its next full collection, even where that object is gone at once.
 */
export function encodePacked<Data>(item: unknown, maxMessageBytes: number, event: string | undefined, pack: (json: string) => Data): { event?: string, data: Data } {
  const { id, ...entry } = encode(item, maxMessageBytes, event === undefined ? undefined : { event }, pack)
  if (id === undefined) return entry
  throw new SSEError('INVALID_ID', 'Expected a message without an id: a channel gives its messages ids of its own.')
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
