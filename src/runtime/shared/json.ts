/** What JSON text says; text that is not JSON stays as it is. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  }
  catch {
    return text
  }
}

/** Data of a server that may send anything: only text that looks like an object or an array is taken for JSON, since `42` may be a word of a sentence. */
export function parseForeign(text: string): unknown {
  return /^[[{]/.test(text) ? parseJson(text) : text
}

/** A request's body as `fetch` takes it: plain objects and arrays as JSON, with a content type unless there is one; anything else as it is. */
export function encodeBody(body: unknown, headers: Headers): BodyInit {
  const isJson = Array.isArray(body) || (!!body && Object.getPrototypeOf(body) === Object.prototype)
  if (isJson && !headers.has('content-type')) headers.set('content-type', 'application/json')
  return (isJson ? JSON.stringify(body) : body) as BodyInit
}
