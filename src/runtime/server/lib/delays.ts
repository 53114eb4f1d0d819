/** Spreads what would otherwise happen to all at once: from half of it to one and a half. */
export function spread(ms: number): number {
  return ms * (0.5 + Math.random())
}

/** Spreads what must not come late: from 80 % of it. */
export function spreadEarlier(ms: number): number {
  return ms * (0.8 + 0.2 * Math.random())
}

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
