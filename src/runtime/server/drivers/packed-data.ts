import { byteLength } from '../wire/encode'

/** A message's JSON: as a string, or, where it is long, as its UTF-8. */
export type PackedData = string | Uint8Array

/**
 * From this many characters on, text is kept as bytes, outside the engine's heap. Strings that live for some seconds are copied by two
 * collections each, and V8 enlarges its young generation with what survives: as strings, a log of a thousand messages of 16 KiB, 125
 * new ones a second, made a process grow by 110 MB.
 */
const PACK_FROM = 2_048

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function packData(data: PackedData): PackedData {
  return typeof data === 'string' && data.length >= PACK_FROM ? encoder.encode(data) : data
}

/**
 * Frees the memory of data that no one else refers to. The engine would free it as well, but late: it lets 64 MiB of such garbage gather,
 * and a loop that published 1 GiB through a log of 64 MiB made the process grow to 300 MiB.
 */
export function freeData(data: PackedData): void {
  if (typeof data === 'string' || data.byteLength !== data.buffer.byteLength) return
  // Since ES2024; where an engine has no `transfer`, this waits for its garbage collection.
  ;(data.buffer as { transfer?(newLength: number): ArrayBuffer }).transfer?.(0)
}

/** Bytes of the data as UTF-8. */
export function sizeOf(data: PackedData): number {
  return typeof data === 'string' ? byteLength(data) : data.length
}

export function unpackData(data: PackedData): string {
  return typeof data === 'string' ? data : decoder.decode(data)
}
