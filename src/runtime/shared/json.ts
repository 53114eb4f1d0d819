/** Parses JSON. Text that is not JSON is returned unchanged. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  }
  catch {
    return text
  }
}

/**
 * Parses data of a server that may send anything. Only text that looks like an object or an array counts as JSON, since `42` may be a word
 * of a sentence.
 */
export function parseForeign(text: string): unknown {
  return /^[[{]/.test(text) ? parseJson(text) : text
}
