import { SSEError, isMistakeCode, isRetryableStatus } from '../../shared/errors'
import type { SSEPublicError } from '../../shared/errors'

const HIDDEN_ERROR_TEXT = 'The stream failed because of an error on the server.'

/**
 * Part of an error that may be sent to any client: all of an `SSEError`, or of an h3 error that was created to be shown (`createError`).
 * For any other error only the fact that there was one, since its text may name tables, files or keys.
 */
export function publicError(error: unknown): SSEPublicError {
  if (error instanceof SSEError) {
    const { code, statusCode, message, retry } = error
    return { code, statusCode, message, retry }
  }
  if (isShownH3Error(error)) {
    const { statusCode, message, statusMessage, data } = error
    const code = typeof data?.code === 'string' ? data.code : 'SOURCE_FAILED'
    return { code, statusCode, message: message || statusMessage || HIDDEN_ERROR_TEXT, retry: typeof data?.retry === 'boolean' ? data.retry : isRetryableStatus(statusCode) }
  }
  return { code: 'SOURCE_FAILED', statusCode: 500, message: HIDDEN_ERROR_TEXT, retry: true }
}

/** Whether the text of `error` must stay on the server, and must be reported there. */
export function isPrivateError(error: unknown): boolean {
  return !(error instanceof SSEError) && !isShownH3Error(error)
}

/** Whether the server must log `error`: its text is not sent to clients, or only the application's author can fix it. */
export function isForTheLog(error: unknown): boolean {
  return isPrivateError(error) || isMistake(error)
}

/**
 * Whether `error` is the application's mistake: an option, a source, data or a driver that cannot work. `INVALID_QUERY` and
 * `INVALID_POSITION` are a client's mistakes.
 */
function isMistake(error: unknown): boolean {
  if (!(error instanceof SSEError)) return false
  return error.code === 'NOT_SUPPORTED' || (isMistakeCode(error.code) && !['INVALID_QUERY', 'INVALID_POSITION'].includes(error.code))
}

/**
 * Whether `error` is a mistake that no client can have caused. The name of a channel or a message, or a key, may come from the client: such
 * an error has status 400.
 */
export function isOurMistake(error: unknown): boolean {
  return isMistake(error) && (error as SSEError).statusCode >= 500
}

interface ShownH3Error {
  statusCode: number
  message: string
  statusMessage?: string
  data?: { code?: unknown, retry?: unknown }
}

// Checks marks and not the class: h3 1 and h3 2 have different classes, and an application may have bundled its own.
function isShownH3Error(error: unknown): error is ShownH3Error {
  if (!(error instanceof Error)) return false
  const { constructor, name, statusCode, unhandled } = error as Error & { statusCode?: unknown, unhandled?: boolean }
  const isH3 = (constructor as { __h3_error__?: boolean }).__h3_error__ === true || name === 'HTTPError'
  return isH3 && typeof statusCode === 'number' && !unhandled
}
