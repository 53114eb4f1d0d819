import { SSEError } from '../../shared/errors'

/**
 * Makes every `SSEError` an error that h3 1 knows, so that an ordinary handler may throw one: a 4xx is answered with its text and code,
 * and is not logged. On the server only: a page would load it for nothing. Safe to call twice.
 */
export function makeErrorsKnownToH3(): void {
  Object.defineProperty(SSEError, '__h3_error__', { value: true, configurable: true })
  Object.defineProperties(SSEError.prototype, {
    // Whether h3 logs it, and keeps its text from the client.
    unhandled: { get(this: SSEError) {
      return this.statusCode >= 500
    }, configurable: true },
    // What the answer has besides the text.
    data: { get(this: SSEError) {
      return { code: this.code }
    }, configurable: true },
  })
}
