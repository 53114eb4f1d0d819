import type { PositionRequest } from './position'
import { isUpTo, parsePositionRequest } from './position'

/**
 * Position on a route of several channels: `<key>:<position>` of each channel, joined by commas (`notices:e1.5,feed:e2.77`). Pure, and
 * without errors: a part that cannot be parsed is a gap of its channel.
 */

/** Requested position of one channel, and its text, if it was well-formed. */
export interface AskedPart {
  readonly request: PositionRequest | 'malformed' | undefined
  readonly text?: string
}

/** Maximum length of a whole position, in characters: 32 channels with the longest keys and epochs have 3,679. */
export const MAX_WHOLE_LENGTH = 4_096

const PART = /^([a-z]\w{0,31}):(.*)$/is
const MALFORMED: AskedPart = { request: 'malformed' }
const NOTHING: AskedPart = { request: undefined }

export function formatWhole(parts: Iterable<readonly [key: string, position: string]>): string {
  return Array.from(parts, ([key, position]) => `${key}:${position}`).join()
}

/**
 * Reads a requested position for each of `keys`. A key that is missing has no request, and a key that is not among `keys` is ignored. A
 * text without any key applies to all channels: as `start`, `now` or `-n`, and otherwise as malformed.
 */
export function parseWhole(text: string, keys: readonly string[]): AskedPart[] {
  if (text.length > MAX_WHOLE_LENGTH) return keys.map(() => MALFORMED)
  const parts = text.split(',').map((part, index) => PART.exec(index === 0 ? part : part.trimStart()))
  if (!parts.some(part => part !== null)) {
    const all = parsePart(text)
    return keys.map(() => isOfOne(all) ? MALFORMED : all)
  }
  const asked = new Map<string, AskedPart>()
  for (const part of parts) {
    if (!part) continue
    const [, key, position] = part as unknown as [string, string, string]
    asked.set(key, asked.has(key) ? MALFORMED : parsePart(position))
  }
  return keys.map(key => asked.get(key) ?? NOTHING)
}

/** Bare numbers are malformed: which of the channels' messages would they count? */
function parsePart(text: string): AskedPart {
  const request = parsePositionRequest(text)
  return request && request.kind !== 'count' ? { request, text } : MALFORMED
}

function isOfOne({ request }: AskedPart): boolean {
  return typeof request === 'object' && request.kind === 'at'
}

/** Whether a text is a whole position, as a route of several channels assigns it. A channel whose list of members is due is at `start`. */
export function isWhole(text: string): boolean {
  return text.length <= MAX_WHOLE_LENGTH && text.split(',').every((part) => {
    const position = PART.exec(part)?.[2]
    return position !== undefined && (position === 'start' || isOfOne(parsePart(position)))
  })
}

/** Position of one channel in a whole position. */
export function partOf(whole: string | undefined, key: string): string | undefined {
  return whole?.split(',').find(part => part.startsWith(`${key}:`))?.slice(key.length + 1)
}

/** Whether every part of a position is at or before the other's. Also for positions of one channel, without keys. */
export function isWholeUpTo(position: string | undefined, other: string | undefined): boolean {
  if (!position?.includes(':')) return isUpTo(position, other)
  return position.split(',').every((part) => {
    const [key, own] = part.split(':')
    return isUpTo(own, partOf(other, key!))
  })
}

/** Whole position after a step of one channel. It has no part for a key that it had none for. */
export function withPart(whole: string | undefined, key: string, position = partOf(whole, key)): string | undefined {
  return whole?.split(',').map(part => part.startsWith(`${key}:`) ? `${key}:${position}` : part).join()
}
