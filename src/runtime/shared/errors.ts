/**
 * Every code that this package itself uses. Codes are stable: programs may compare them.
 * An application may throw an `SSEError` with a code of its own.
 */
export type SSEErrorCode
  // Refused input (server)
  = | 'INVALID_OPTION' | 'INVALID_CHANNEL' | 'INVALID_DATA' | 'INVALID_EVENT' | 'INVALID_ID' | 'RESERVED_EVENT'
    | 'MESSAGE_TOO_LARGE' | 'INVALID_POSITION' | 'INVALID_QUERY' | 'INVALID_SOURCE' | 'INVALID_ROUTE_RULE'
  // What a request is told (server)
    | 'NOT_POLLABLE' | 'NOT_ACCEPTABLE' | 'BODY_DISCARDED' | 'PRERENDERING' | 'SHUTTING_DOWN' | 'TOO_MANY_CONNECTIONS' | 'TOO_MANY_CONNECTIONS_PER_CLIENT'
    | 'UNAUTHORIZED' | 'REVALIDATION_FAILED'
    | 'TICKET_MISSING' | 'TICKET_EXPIRED' | 'TICKET_INVALID' | 'TICKET_OTHER_CHANNEL' | 'TICKET_SECRET_MISSING'
  // What happened to a channel or a source (server)
    | 'NOT_SUPPORTED' | 'CHANNEL_ENDED' | 'PUBLISH_RATE' | 'ABORTED' | 'LEASE_LOST' | 'PRODUCER_LOST' | 'GAP' | 'DRIVER_UNAVAILABLE' | 'SOURCE_FAILED' | 'SOURCE_INTERRUPTED'
  // What ended or troubles a client
    | 'HTTP_ERROR' | 'NOT_EVENT_STREAM' | 'INVALID_BATCH' | 'NETWORK' | 'CONNECT_TIMEOUT' | 'SILENCE' | 'STALE_ANSWER'
    | 'INTERRUPTED' | 'GAVE_UP' | 'CALLBACK_FAILED' | 'REQUEST_FAILED' | 'REDIRECTED' | 'SHARING_FAILED'
  // What `nuxt-sse/test` waited for in vain
    | 'COLLECT_TIMEOUT' | 'COLLECT_ENDED'
    | (string & {})

export interface SSEErrorOptions {
  /** HTTP status that fits. Default 500. */
  statusCode?: number
  /** Whether trying again may help. Default: what the status says (see {@link isRetryableStatus}), and `false` for {@link isMistakeCode}. */
  retry?: boolean
  /** See {@link SSEError.retryAt}. */
  retryAt?: number
  /** The error behind it: kept for logs, never sent. */
  cause?: unknown
  /** Anything else that a program may want to read, such as the gap of a `GAP`. */
  details?: Record<string, unknown>
}

/** The part of an error that may be shown to a stranger: what an `error` control message carries. */
export interface SSEPublicError {
  code: string
  statusCode: number
  message: string
  retry: boolean
}

/** The one error class of this package. Its message is meant to be shown: it reaches clients as it is. */
export class SSEError extends Error {
  override readonly name = 'SSEError'
  /** Stable, for programs. */
  readonly code: SSEErrorCode
  /** HTTP status, 500 unless given; of what a client met, that of the answer, or 0 where there was none. */
  readonly statusCode: number
  /** Whether trying again may help; of a client's `error`, whether it will: `false` when it is final. */
  readonly retry: boolean
  /** When a client that waits will try again, in epoch milliseconds as of `Date.now()`; unset when it does not wait. */
  readonly retryAt?: number
  readonly details: Record<string, unknown>

  constructor(code: SSEErrorCode, message: string, options: SSEErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.statusCode = options.statusCode ?? 500
    this.retry = options.retry ?? (isRetryableStatus(this.statusCode) && !isMistakeCode(code))
    this.retryAt = options.retryAt
    this.details = options.details ?? {}
  }
}

/** RFC 9110: a 4xx says that the same request will fail again, except for the four that are about time. */
export function isRetryableStatus(statusCode: number): boolean {
  return statusCode >= 500 || statusCode < 400 || statusCode === 408 || statusCode === 425 || statusCode === 429
}

/** Only a developer can fix what such a code reports (`INVALID_SOURCE`, `RESERVED_EVENT`): the same request fails again. */
export function isMistakeCode(code: string): boolean {
  return /^(?:INVALID|RESERVED)_/.test(code)
}

/** One sentence shape for refused options, with both values printed. */
export function invalidOption(name: string, expected: string, got: unknown, options?: SSEErrorOptions): SSEError {
  return new SSEError('INVALID_OPTION', `Expected \`${name}\` to be ${expected}, got ${printValue(got)}.`, options)
}

/** A value as an error message shows it: as JSON where it has any, at most 80 characters of it. */
export function printValue(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  }
  catch {
    // Circular, or a BigInt.
  }
  // `NaN` and `Infinity` are `null` in JSON, and a function nothing.
  if (text === undefined || typeof value === 'number') text = typeof value === 'function' ? 'a function' : String(value)
  return `\`${text.length > 80 ? `${text.slice(0, 80)}…` : text}\``
}
