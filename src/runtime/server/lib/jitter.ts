/** Spreads what would otherwise happen to all at once: from half of it to one and a half. */
export function spread(ms: number): number {
  return ms * (0.5 + Math.random())
}

/** Spreads what must not come late: from 80 % of it. */
export function spreadEarlier(ms: number): number {
  return ms * (0.8 + 0.2 * Math.random())
}
