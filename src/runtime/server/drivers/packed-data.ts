import { byteLength } from '../wire/encode'

/** JSON of a message: a string, or UTF-8 bytes if it is long. */
export type PackedData = string | Uint8Array

/**
 * Length in characters from which text is kept as bytes, outside the engine's heap. V8 copies a string that lives for some seconds in two
 * collections, and enlarges its young generation by the bytes that survive. As strings, a log of a thousand messages of 16 KiB, with 125
 * new ones a second, made a process grow by 110 MB.
 */
const PACK_FROM = 2_048

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function packData(data: PackedData): PackedData {
  return typeof data === 'string' && data.length >= PACK_FROM ? encoder.encode(data) : data
}

/**
 * Frees the memory of data that nothing else refers to. The engine would free it late: it collects such garbage only after 64 MiB. A loop
 * that published 1 GiB through a log of 64 MiB made the process grow to 300 MiB.
 */
export function freeData(data: PackedData): void {
  if (typeof data === 'string' || data.byteLength !== data.buffer.byteLength) return
  // Since ES2024. Without `transfer`, the memory waits for the engine's garbage collection.
  ;(data.buffer as { transfer?(newLength: number): ArrayBuffer }).transfer?.(0)
}

/** Size of the data in bytes of UTF-8. */
export function sizeOf(data: PackedData): number {
  return typeof data === 'string' ? byteLength(data) : data.length
}

export function unpackData(data: PackedData): string {
  return typeof data === 'string' ? data : decoder.decode(data)
}
