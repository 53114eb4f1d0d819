import { CONTROL_EVENT } from '../../shared/protocol'
import type { SSEControl } from '../../shared/protocol'
import { SSEError, printValue } from '../../shared/errors'
import { describeValue, findLost, isLost } from './lost-in-json'
import type { LostValue } from './lost-in-json'

/**
 * Encoding of event streams (WHATWG HTML, 9.2.5 "Parsing an event stream"): pure functions from values to text.
 *
 * A line ends at CR, LF or CRLF. Every value of a field is therefore checked here, at run time and not by its type: a line break in it
 * would begin an unintended field or message.
 */

/** Comment line and blank line: the shortest bytes that no client reports. */
export const HEARTBEAT = ':\n\n'

const LINE_BREAK = /\r\n|\r|\n/
// A NUL makes the standard's parser ignore the whole `id` field.
const NOT_IN_ID = /[\r\n\0]/
const NOT_IN_EVENT = /[\r\n\0]/

/** Maximum length of an event name, in characters. No limit of a message's data includes it, and a client may choose the name. */
const MAX_EVENT_LENGTH = 512

const encoder = new TextEncoder()
/** Read from `globalThis`: for a bare `Buffer`, bundlers add a polyfill on runtimes that have none. */
const { Buffer } = globalThis as { Buffer?: typeof globalThis.Buffer }

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text)
}

/**
 * Encodes text for many sockets: Node wraps every chunk that is not a `Buffer` in one, at each write. The result has memory of its own, and
 * is not a piece of Node's pool.
 */
export function encodeShared(text: string): Uint8Array {
  return shared(encoder.encode(text))
}

/** Joins chunks, for many sockets as with {@link encodeShared}. */
export function concatShared(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((size, { length }) => size + length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return shared(bytes)
}

function shared(bytes: Uint8Array): Uint8Array {
  return Buffer === undefined ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Length in bytes of UTF-8. */
export function byteLength(text: string): number {
  return Buffer === undefined ? encoder.encode(text).length : Buffer.byteLength(text)
}

/** Encodes one message. `data` is text that is already encoded: JSON, or raw text of a migrated `createEventStream`. */
export function encodeMessage(message: { id?: string, event?: string, data: string }): string {
  let block = ''
  if (message.id !== undefined) block += `id: ${message.id}\n`
  if (message.event !== undefined) block += `event: ${message.event}\n`
  return `${block}${dataLines(message.data)}\n`
}

/** Text before and after a message's data, for data that is bytes already, and one line. */
export function encodeMessageAround(message: { id?: string, event?: string }): [before: string, after: string] {
  const block = encodeMessage({ ...message, data: '' })
  return [block.slice(0, -2), '\n\n']
}

export function encodeControl(control: SSEControl, id?: string): string {
  return encodeMessage({ id, event: CONTROL_EVENT, data: JSON.stringify(control) })
}

/** Encodes the first block: the reconnect delay, the reader's position, and the `open` control message. */
export function encodeOpeningBlock(retryMs: number, open: SSEControl, id?: string): string {
  return `retry: ${retryMs}\n${encodeControl(open, id)}`
}

/** Encodes a comment, which every client skips. Text of several lines becomes several comment lines. */
export function encodeComment(text: string): string {
  if (typeof text !== 'string') {
    throw new SSEError('INVALID_DATA', `Expected a comment to be a string, got ${describeValue(text)}.`)
  }
  return `${text.split(LINE_BREAK).map(line => `: ${line}\n`).join('')}\n`
}

export function encodeRetry(retryMs: number): string {
  if (!Number.isSafeInteger(retryMs) || retryMs < 0) {
    throw new SSEError('INVALID_OPTION', `Expected \`retry\` to be a whole number of milliseconds, got ${printValue(retryMs)}.`)
  }
  return `retry: ${retryMs}\n\n`
}

/**
 * Encodes the data of a message as JSON. Throws `MESSAGE_TOO_LARGE` beyond the limit. Throws `INVALID_DATA` for values that JSON cannot
 * hold or would silently lose: at the top level, or, with `deep`, which visits all of the data, at any depth.
 */
export function encodeData(data: unknown, maxMessageBytes: number, deep = import.meta.dev): string {
  let json: string | undefined
  let cause: unknown
  try {
    json = isNoJson(data) ? undefined : JSON.stringify(data)
  }
  catch (error) {
    cause = error
  }
  if (json === undefined || isLost(data, json)) throw invalidData(data, cause)
  const lost = deep ? tryToFindLost(data) : undefined
  if (lost) throw invalidData(data, undefined, lost)
  assertSize(json, maxMessageBytes)
  return json
}

function invalidData(data: unknown, cause?: unknown, lost = cause === undefined ? undefined : tryToFindLost(data)): SSEError {
  const { what, path } = lost ?? { what: describeValue(data), path: 'data' }
  return new SSEError('INVALID_DATA', `Expected the data of a message to be serializable as JSON, got ${what}${path === 'data' ? '' : ` at \`${path}\``}. Convert it to plain data first.`, { cause })
}

/** Finds a lost value. Catches errors: an application's `toJSON` or getter may throw, and data may be nested deeper than the stack. */
function tryToFindLost(data: unknown): LostValue | undefined {
  try {
    return findLost(data)
  }
  catch {
    return undefined
  }
}

export function assertSize(text: string, maxMessageBytes: number): void {
  // A UTF-16 code unit takes at most three bytes: short messages need no count.
  if (text.length * 3 <= maxMessageBytes) return
  const bytes = byteLength(text)
  if (bytes <= maxMessageBytes) return
  throw new SSEError('MESSAGE_TOO_LARGE', `Expected a message of at most ${maxMessageBytes} bytes (\`maxMessageBytes\`), got ${bytes}. Send a reference instead, or raise the limit.`, { statusCode: 413 })
}

/** Throws `RESERVED_EVENT` for the name of control messages, and `INVALID_EVENT` for a value that the field cannot hold. */
export function assertEvent(event: unknown): asserts event is string | undefined {
  if (event === undefined) return
  if (event === CONTROL_EVENT) {
    throw new SSEError('RESERVED_EVENT', `The event name \`${CONTROL_EVENT}\` is reserved for control messages. Use another name.`, { statusCode: 400 })
  }
  if (typeof event !== 'string' || event === '' || event.length > MAX_EVENT_LENGTH || NOT_IN_EVENT.test(event) || !event.isWellFormed()) {
    throw new SSEError('INVALID_EVENT', `Expected the event name to be a well-formed string of 1 to ${MAX_EVENT_LENGTH} characters without line breaks, got ${printValue(event)}.`, { statusCode: 400 })
  }
}

/** Text of an ID. Numbers are accepted, including 0. Throws `INVALID_ID` for a value that the field cannot hold. */
export function encodeId(id: unknown): string | undefined {
  if (id === undefined) return undefined
  const text = typeof id === 'number' && Number.isFinite(id) ? String(id) : id
  if (typeof text !== 'string' || NOT_IN_ID.test(text) || !text.isWellFormed()) {
    throw new SSEError('INVALID_ID', `Expected the message ID to be a well-formed string without line breaks or NUL, got ${printValue(id)}.`, { statusCode: 400 })
  }
  return text
}

function dataLines(data: string): string {
  // JSON never has a raw line break, so nearly all data takes the short way.
  if (!LINE_BREAK.test(data)) return `data: ${data}\n`
  return data.split(LINE_BREAK).map(line => `data: ${line}\n`).join('')
}

/** Whether JSON would replace the value by something else: `null` for `NaN` and infinities, an object of indexes for bytes. */
function isNoJson(data: unknown): boolean {
  return (typeof data === 'number' && !Number.isFinite(data)) || ArrayBuffer.isView(data)
}
