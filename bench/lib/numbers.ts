export function median(values: readonly number[]): number {
  return quantile(values.toSorted((a, b) => a - b), 0.5)
}

/** Quantile `q` of sorted values; `NaN` if there are none. */
export function quantile(sorted: readonly number[], q: number): number {
  if (sorted.length === 0) return Number.NaN
  const at = (sorted.length - 1) * q
  const below = sorted[Math.floor(at)]!
  return below + (sorted[Math.ceil(at)]! - below) * (at % 1)
}

/** Summary of values: `1.23 (1.20–1.31)` is median, smallest and largest. */
export function spread(values: readonly number[], digits = 2): string {
  return `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`
}

/** Ratio of `ours` to `theirs`: the median of the rounds' own ratios, because a disturbance of one round affects both peers. */
export function ratio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, round) => value / theirs[round]!))
}
