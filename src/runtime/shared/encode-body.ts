/**
 * Encodes a request's body for `fetch`. Objects that `fetch` would turn into `[object Object]` are sent as JSON, with a content type unless
 * there is one.
 *
 * @throws TypeError if JSON cannot hold the body, or would keep nothing of it, as with a `Map`
 */
export function encodeBody(body: unknown, headers: Headers): BodyInit {
  if (typeof body !== 'object' || !body || ArrayBuffer.isView(body) || [ArrayBuffer, Blob, FormData, URLSearchParams, ReadableStream].some(type => body instanceof type)) return body as BodyInit
  const json = JSON.stringify(body)
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(body))
  if (!isPlain && json === '{}') throw new TypeError('Expected a body that JSON can hold')
  if (!headers.has('content-type')) headers.set('content-type', 'application/json')
  return json
}
