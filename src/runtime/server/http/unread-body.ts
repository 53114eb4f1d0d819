import { SSEError } from '../../shared/errors'

/**
 * Limit of the bytes of a request's body that are read off the socket although the handler does not read them. Node stops reading a socket
 * whose request is not read. It then does not notice that the client disconnects, and closes the request after its `requestTimeout`.
 */
const MAX_UNREAD_BYTES = 1_048_576
/** Milliseconds after which a longer body is discarded if the handler does not read it. */
const UNREAD_TIMEOUT_MS = 10_000

/** Used parts of Node's `IncomingMessage`. */
export interface NodeRequest {
  readonly complete: boolean
  readonly headers: Record<string, unknown>
  readonly readableFlowing: boolean | null
  readonly readableLength: number
  listenerCount(event: string): number
  read(size: number): unknown
  resume(): unknown
}

/**
 * Keeps the socket of a request readable until the response is over. A body of up to 1 MiB stays in Node's own buffer, and the handler can
 * read it at any time and in any way. A longer one is discarded if it is not being read after 10 seconds; reading it later fails with
 * `BODY_DISCARDED`. Costs nothing for requests without a body.
 */
export function keepReading(request: NodeRequest, response: { once(event: 'close', listener: () => void): unknown }): void {
  if (request.complete || !hasBody(request.headers)) return
  // Node has no public setter for this limit after it has created the request.
  const { _readableState: state } = request as { _readableState?: { highWaterMark: number } }
  if (!state || state.highWaterMark >= MAX_UNREAD_BYTES) return
  state.highWaterMark = MAX_UNREAD_BYTES
  // Resumes a socket that was paused before; its bytes stay in the buffer.
  if (!isRead(request)) request.read(0)
  const timer = setInterval(() => {
    if (request.complete || isRead(request)) return clearInterval(timer)
    if (request.readableLength < MAX_UNREAD_BYTES) return
    clearInterval(timer)
    discardBody(request)
  }, UNREAD_TIMEOUT_MS)
  timer.unref?.()
  response.once('close', () => clearInterval(timer))
}

/** Discards the body. h3 reads a body from the property `body`, if it exists. */
function discardBody(request: NodeRequest): void {
  Object.defineProperty(request, 'body', { configurable: true, get: () => Promise.reject(tooLate()) })
  request.resume()
}

function tooLate(): SSEError {
  return new SSEError('BODY_DISCARDED', `The request body was discarded: it is longer than ${MAX_UNREAD_BYTES} bytes, and the handler did not read it within ${UNREAD_TIMEOUT_MS / 1_000} seconds. Read the body before you await anything else.`, { retry: false })
}

function hasBody({ 'content-length': length, 'transfer-encoding': encoding }: NodeRequest['headers']): boolean {
  return encoding !== undefined || (length !== undefined && length !== '0')
}

function isRead(request: NodeRequest): boolean {
  return request.readableFlowing !== null || request.listenerCount('readable') > 0
}
