import { SSEError } from '../shared/errors'

/** Error found by the client itself. By default final, and without an HTTP status. */
export function clientError(code: string, message: string, cause?: unknown, statusCode = 0, retry = false): SSEError {
  return new SSEError(code, message, { statusCode, retry, cause })
}

/** Error after which the client retries. */
export function retryableError(code: string, message: string, cause?: unknown): SSEError {
  return clientError(code, message, cause, 0, true)
}

/** Error for a callback that threw. Logs the cause. The caller keeps reading. */
export function callbackError(cause: unknown): SSEError {
  console.error('[nuxt-sse]', cause)
  return clientError('CALLBACK_FAILED', 'A callback threw', cause)
}

/** Final error for a lost connection whose request cannot be repeated. */
export function interrupted(cause?: SSEError): SSEError {
  return clientError('INTERRUPTED', 'The connection was lost. Repeating the request may not be safe.', cause)
}

/** Error for a response that does not continue from the requested position. The client retries with a URL that no cache has stored. */
export function staleAnswer(): SSEError {
  return retryableError('STALE_ANSWER', 'A cache answered instead of the server')
}

/** Copy of an error with the client's own `retry`. `retryAt`: epoch milliseconds. */
export function revised(error: SSEError, retry: boolean, retryAt?: number): SSEError {
  // A spread copies no `message` and no `cause`.
  return new SSEError(error.code, error.message, { ...error, cause: error.cause, retry, retryAt })
}

/** Error that a server sent. A field of the wrong type is ignored. */
export function serverError(error: object): SSEError {
  const { code, message, statusCode, retry } = error as Record<string, unknown>
  return new SSEError(typeof code === 'string' ? code : 'HTTP_ERROR', typeof message === 'string' ? message : 'The server gave no reason.', {
    statusCode: typeof statusCode === 'number' ? statusCode : undefined,
    retry: typeof retry === 'boolean' ? retry : undefined,
  })
}

/** Final error of a call with `load` on a source without positions. */
export function noPositions(): SSEError {
  return clientError('LOAD_FAILED', '`load` needs a route that returns a channel', undefined, 200)
}

/** Whether the value is a position that fits both a header and a query. */
export function isPosition(value: unknown): value is string {
  return typeof value === 'string' && !/[\r\n\0]/.test(value)
}

/** Value in milliseconds; `undefined` if it is not a number of at least 0. */
export function parseMs(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined
}
