/** Jitters a delay to 50 to 150 %, so that many clients do not act at once. */
export function spread(ms: number): number {
  return ms * (0.5 + Math.random())
}

/** Jitters a delay to 80 to 100 %, for tasks that must not be late. */
export function spreadEarlier(ms: number): number {
  return ms * (0.8 + 0.2 * Math.random())
}

interface RetryPolicy {
  /** Longest delay after the first failure, in milliseconds. */
  firstMs: number
  /** Longest delay, in milliseconds. */
  maxMs: number
}

/**
 * Milliseconds until a failed attempt is retried, after `before` earlier failures in a row: `firstMs`, doubled each time up to `maxMs`.
 * Jittered down to half of that, so that thousands of failures are not retried at once.
 */
export function retryDelayMs({ firstMs, maxMs }: RetryPolicy, before: number): number {
  return Math.min(maxMs, firstMs * 2 ** before) * (0.5 + Math.random() / 2)
}
