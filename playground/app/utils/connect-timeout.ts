/** Longer than the longest simulated delay, and short enough to wait for with a proxy that holds everything back. */
export const CONNECT_TIMEOUT_MS = 3_000
