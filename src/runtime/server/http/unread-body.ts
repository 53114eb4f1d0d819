import { SSEError } from '../../shared/errors'

/**
 * Bytes of a request's body that are taken off the socket although the handler has not read them. Node stops reading a socket
 * whose request nobody reads, and so never hears that the client has left, and cuts the request after its `requestTimeout`.
 */
const MAX_UNREAD_BYTES = 1_048_576
/** How long a longer body waits for the handler until it is thrown away. */
const PATIENCE_MS = 10_000

/** What is used here of Node's `IncomingMessage`. */
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
 * Keeps the socket of a request readable until the response is over. A body of up to 1 MiB waits for the handler in Node's own
 * buffer, so that it can be read at any time and in any way; a longer one is thrown away if nobody has begun to read it after
 * 10 seconds, and reading it later fails with `BODY_DISCARDED`. Costs nothing for requests without a body.
 */
export function keepReading(request: NodeRequest, response: { once(event: 'close', listener: () => void): unknown }): void {
  if (request.complete || !hasBody(request.headers)) return
  // The bound of Node's buffer has a setter only when the request is made, which is not ours.
  const { _readableState: state } = request as { _readableState?: { highWaterMark: number } }
  if (!state || state.highWaterMark >= MAX_UNREAD_BYTES) return
  state.highWaterMark = MAX_UNREAD_BYTES
  // Takes up a socket that was paused before; what it has stays in the buffer.
  if (!isRead(request)) request.read(0)
  const timer = setInterval(() => {
    if (request.complete || isRead(request)) return clearInterval(timer)
    if (request.readableLength < MAX_UNREAD_BYTES) return
    clearInterval(timer)
    throwAway(request)
  }, PATIENCE_MS)
  timer.unref?.()
  response.once('close', () => clearInterval(timer))
}

/** h3 reads a body from `body`, where there is one. */
function throwAway(request: NodeRequest): void {
  Object.defineProperty(request, 'body', { configurable: true, get: () => Promise.reject(tooLate()) })
  request.resume()
}

function tooLate(): SSEError {
  return new SSEError('BODY_DISCARDED', `Expected the handler to read the body of this request within ${PATIENCE_MS / 1_000} seconds: what it left unread beyond ${MAX_UNREAD_BYTES} bytes was discarded. Read it before the first \`await\` of something else.`, { retry: false })
}

function hasBody({ 'content-length': length, 'transfer-encoding': encoding }: NodeRequest['headers']): boolean {
  return encoding !== undefined || (length !== undefined && length !== '0')
}

function isRead(request: NodeRequest): boolean {
  return request.readableFlowing !== null || request.listenerCount('readable') > 0
}
