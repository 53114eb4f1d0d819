import { SSEError } from '../shared/errors'

/** An error that the client itself found: final, and without a status. */
export function clientError(code: string, message: string, cause?: unknown, statusCode = 0, retry = false): SSEError {
  return new SSEError(code, message, { statusCode, retry, cause })
}

/** One after which the client tries again. */
export function passingError(code: string, message: string, cause?: unknown): SSEError {
  return clientError(code, message, cause, 0, true)
}

/** The connection was lost without a position to go on from: final. */
export function interrupted(cause?: SSEError): SSEError {
  return clientError('INTERRUPTED', 'The connection was lost, and cannot safely be made again', cause)
}

/** An answer that does not continue from where the request asked: retried past caches. */
export function staleAnswer(): SSEError {
  return passingError('STALE_ANSWER', 'A cache answered in place of the server')
}

/** The same error, with what this client makes of it. `retryAt`: epoch milliseconds. */
export function revised({ code, message, statusCode, cause, details }: SSEError, retry: boolean, retryAt?: number): SSEError {
  return new SSEError(code, message, { statusCode, retry, retryAt, cause, details })
}

/** An error as a server tells of it. What is not of the type that it should be counts as not said. */
export function toldError({ code, message, statusCode, retry }: Record<string, unknown>): SSEError {
  return new SSEError(typeof code === 'string' ? code : 'HTTP_ERROR', typeof message === 'string' ? message : 'The server gave no reason.', {
    statusCode: typeof statusCode === 'number' ? statusCode : undefined,
    retry: typeof retry === 'boolean' ? retry : undefined,
  })
}

/** What can be asked for again, in a header as in a query, whatever JSON has put there. */
export function isPosition(value: unknown): value is string {
  return typeof value === 'string' && !/[\r\n\0]/.test(value)
}

/** Milliseconds, where it is a number of them. */
export function msOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined
}

/** For texts that may end up in a log: there may be a ticket in the query. */
export function withoutQuery(url: string): string {
  return url.replace(/\?.*/s, '')
}
