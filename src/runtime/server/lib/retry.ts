interface RetryPolicy {
  /** The longest wait after the first failure. */
  firstMs: number
  /** The longest wait at all. */
  maxMs: number
}

/**
 * Milliseconds until a try that failed is repeated, after `before` failures in a row before it: `firstMs`, doubled each time up to
 * `maxMs`. Jittered down to half of that, so that thousands that failed together do not try again together.
 */
export function retryDelayMs({ firstMs, maxMs }: RetryPolicy, before: number): number {
  return Math.min(maxMs, firstMs * 2 ** before) * (0.5 + Math.random() / 2)
}
