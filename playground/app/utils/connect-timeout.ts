/** Longer than the longest delay, and short enough to wait for in front of a proxy that holds everything back. */
export const CONNECT_TIMEOUT_MS = 3_000
