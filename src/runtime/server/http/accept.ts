/** One media range of an `Accept` header (RFC 9110, section 12.5.1). */
export interface MediaRange {
  /** Type in lower case, without parameters: `text/html`, or with a star for a part. */
  type: string
  /** Weight, from 0 ("not this") to 1. */
  quality: number
}

/** Preference of a header for one media type. */
export interface Preference {
  /** Weight of the most specific range that covers the type; 0 if none does. */
  quality: number
  /** Part that the range names: 3 the type itself, 2 its first half, 1 any type, 0 if no range covers it. */
  specificity: 0 | 1 | 2 | 3
}

/**
 * Media ranges of an `Accept` header. Never throws: an element that is not a media range is skipped, and an invalid weight counts as 1, as
 * in other servers. Parameters other than the weight are ignored.
 */
export function parseAccept(header: string): MediaRange[] {
  const ranges: MediaRange[] = []
  for (const element of splitUnquoted(header, ',')) {
    const [type = '', ...parameters] = splitUnquoted(element, ';').map(part => part.trim())
    if (isMediaRange(type)) ranges.push({ type: type.toLowerCase(), quality: weightOf(parameters) })
  }
  return ranges
}

/** Preference of the ranges for `type`, such as `text/event-stream`. The most specific range decides; among equals, the highest weight. */
export function preferenceFor(ranges: readonly MediaRange[], type: string): Preference {
  const covering = [type, `${type.split('/')[0]}/*`, '*/*']
  for (const [index, name] of covering.entries()) {
    const qualities = ranges.filter(range => range.type === name).map(({ quality }) => quality)
    if (qualities.length) return { quality: Math.max(...qualities), specificity: 3 - index as 1 | 2 | 3 }
  }
  return { quality: 0, specificity: 0 }
}

/** Whether a range of `type` has the parameter. Its name and value are compared without case, and the value may be quoted (RFC 9110, section 5.6.6). */
export function hasParameter(header: string, type: string, name: string, value: string): boolean {
  // Nearly every header lacks it.
  if (!header.toLowerCase().includes(name)) return false
  return splitUnquoted(header, ',').some((element) => {
    const [range = '', ...parameters] = splitUnquoted(element, ';').map(part => part.trim().toLowerCase())
    return range === type && parameters.some((parameter) => {
      const [itsName, itsValue] = parameter.split('=').map(part => part.trim())
      return itsName === name && itsValue?.replace(/^"(.*)"$/, '$1') === value
    })
  })
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

function isMediaRange(text: string): boolean {
  const [type = '', subtype = '', ...rest] = text.split('/')
  return rest.length === 0 && TOKEN.test(type) && TOKEN.test(subtype) && (type !== '*' || subtype === '*')
}

function weightOf(parameters: string[]): number {
  for (const parameter of parameters) {
    const weight = /^q\s*=(.*)$/i.exec(parameter)?.[1]?.trim()
    if (weight !== undefined) return /^(?:0(?:\.\d*)?|1(?:\.0*)?|\.\d+)$/.test(weight) ? Number(weight) : 1
  }
  return 1
}

/** Splits at `separator` outside of quoted strings (RFC 9110, section 5.6.4). */
function splitUnquoted(text: string, separator: string): string[] {
  if (!text.includes('"')) return text.split(separator)
  const parts: string[] = []
  let start = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') quoted = !quoted
    else if (quoted && character === '\\') at++
    else if (!quoted && character === separator) {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  return [...parts, text.slice(start)]
}
