/**
 * Codes of this package's own errors. Codes are stable: programs may compare them. An application may throw an `SSEError` with a code of
 * its own.
 */
export type SSEErrorCode
  // Refused input (server)
  = | 'INVALID_OPTION' | 'INVALID_CHANNEL' | 'INVALID_DATA' | 'INVALID_EVENT' | 'INVALID_ID' | 'RESERVED_EVENT'
    | 'INVALID_MESSAGE' | 'SCHEMA_FAILED' | 'MESSAGE_TOO_LARGE' | 'INVALID_POSITION' | 'INVALID_QUERY' | 'INVALID_SOURCE' | 'INVALID_ROUTE_RULE'
  // Refused requests (server)
    | 'NOT_POLLABLE' | 'NOT_ACCEPTABLE' | 'BODY_DISCARDED' | 'PRERENDERING' | 'SHUTTING_DOWN' | 'TOO_MANY_CONNECTIONS' | 'TOO_MANY_CONNECTIONS_PER_CLIENT'
    | 'UNAUTHORIZED' | 'REVALIDATION_FAILED' | 'DISCONNECTED'
    | 'TICKET_MISSING' | 'TICKET_EXPIRED' | 'TICKET_INVALID' | 'TICKET_OTHER_CHANNEL' | 'TICKET_SECRET_MISSING'
  // Channels and sources (server)
    | 'NOT_SUPPORTED' | 'NO_PUBLISHER' | 'CHANNEL_ENDED' | 'PUBLISH_RATE' | 'ABORTED' | 'LEASE_LOST' | 'PRODUCER_LOST' | 'GAP' | 'NO_ANSWER' | 'DRIVER_UNAVAILABLE' | 'SOURCE_FAILED' | 'SOURCE_INTERRUPTED'
  // Failures of a client
    | 'HTTP_ERROR' | 'NOT_EVENT_STREAM' | 'INVALID_BATCH' | 'NETWORK' | 'CONNECT_TIMEOUT' | 'SILENCE' | 'STALE_ANSWER'
    | 'INTERRUPTED' | 'LOAD_FAILED' | 'GAVE_UP' | 'CALLBACK_FAILED' | 'REQUEST_FAILED' | 'REDIRECTED' | 'SHARING_FAILED' | 'UNKNOWN_CHANNEL'
  // Failed waits of `nuxt-sse/test`
    | 'COLLECT_TIMEOUT' | 'COLLECT_ENDED'
    | (string & {})

export interface SSEErrorOptions {
  /** Matching HTTP status. Default 500. */
  statusCode?: number
  /** Whether a retry may help. Default: depends on the status (see {@link isRetryableStatus}); `false` for {@link isMistakeCode}. */
  retry?: boolean
  /** See {@link SSEError.retryAt}. */
  retryAt?: number
  /** Underlying error: kept for logs, never sent. */
  cause?: unknown
  /** Further details for programs, such as the gap of a `GAP`. */
  details?: Record<string, unknown>
}

/** Part of an error that may be shown to any client: the content of an `error` control message. */
export interface SSEPublicError {
  code: string
  statusCode: number
  message: string
  retry: boolean
}

/** Error class of this package. Its message is meant to be shown: clients receive it unchanged. */
export class SSEError extends Error {
  override readonly name = 'SSEError'
  // `declare`: the constructor sets these fields, so the code needs no definitions of them.
  /** Stable code, for programs. */
  declare readonly code: SSEErrorCode
  /** HTTP status; 500 unless given. For an error on the client: the status of the response, or 0 without one. */
  declare readonly statusCode: number
  /** Whether a retry may help. For the `error` of a client: whether it will retry; `false` when the error is final. */
  declare readonly retry: boolean
  /** Time of the client's next attempt, in epoch milliseconds as of `Date.now()`; unset when the client does not wait. */
  declare readonly retryAt?: number
  declare readonly details: Record<string, unknown>

  constructor(code: SSEErrorCode, message: string, options: SSEErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : options)
    this.code = code
    this.statusCode = options.statusCode ?? 500
    this.retry = options.retry ?? (isRetryableStatus(this.statusCode) && !isMistakeCode(code))
    this.retryAt = options.retryAt
    this.details = options.details ?? {}
  }
}

/**
 * Whether a retry may help after this status. By RFC 9110, a request that got a 4xx fails again, except for the statuses that depend on
 * time.
 */
export function isRetryableStatus(statusCode: number): boolean {
  return statusCode >= 500 || statusCode < 400 || statusCode === 408 || statusCode === 425 || statusCode === 429
}

/** Whether only a developer can fix the cause (`INVALID_SOURCE`, `RESERVED_EVENT`): the same request fails again. */
export function isMistakeCode(code: string): boolean {
  return /^(?:INVALID|RESERVED)_/.test(code)
}

/** Creates the error for a refused option, with the expected and the given value. */
export function invalidOption(name: string, expected: string, got: unknown, options?: SSEErrorOptions): SSEError {
  return new SSEError('INVALID_OPTION', `Expected \`${name}\` to be ${expected}, got ${printValue(got)}.`, options)
}

/** Prints a value for an error message: as JSON where it has any, up to 80 characters. */
export function printValue(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  }
  catch {
    // Circular, or a BigInt.
  }
  // In JSON, `NaN` and `Infinity` are `null`.
  if (text === undefined || typeof value === 'number') text = String(value)
  return `\`${text.length > 80 ? `${text.slice(0, 80)}…` : text}\``
}
