/** What JSON text says; text that is not JSON stays as it is. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  }
  catch {
    return text
  }
}

/** A request's body as `fetch` takes it: plain objects and arrays as JSON, with a content type unless there is one; anything else as it is. */
export function encodeBody(body: unknown, headers: Headers): BodyInit {
  const isJson = Array.isArray(body) || (!!body && Object.getPrototypeOf(body) === Object.prototype)
  if (isJson && !headers.has('content-type')) headers.set('content-type', 'application/json')
  return (isJson ? JSON.stringify(body) : body) as BodyInit
}
