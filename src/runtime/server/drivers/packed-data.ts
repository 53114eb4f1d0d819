/** JSON text of a message, or, where it is long, the UTF-8 of it. */
export type PackedData = string | Uint8Array

/**
 * Text of so many characters is kept as bytes, outside the heap of the engine. Strings that live for some seconds are copied by each of
 * two collections, and V8 makes its young generation larger with what survives: a log of a thousand messages of 16 KiB, 125
 * new ones a second, made a process grow by 110 MB as strings.
 */
const PACK_FROM = 2_048

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function packData(data: PackedData): PackedData {
  return typeof data === 'string' && data.length >= PACK_FROM ? encoder.encode(data) : data
}

export function unpackData(data: PackedData): string {
  return typeof data === 'string' ? data : decoder.decode(data)
}
