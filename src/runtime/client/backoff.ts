import type { SSEPeer } from './types'

/** Longest delay that a server can impose, in milliseconds, by `retry`, `Retry-After` or `leave`. */
export const MAX_SERVER_DELAY_MS = 3_600_000

/** Keeps the power finite: 2 to the 1,024 is Infinity, and 0 times Infinity is NaN. */
const MAX_DOUBLINGS = 40

/** Parameters of the delay before an attempt. */
export interface Backoff {
  /** First bound of the random part, in milliseconds. It doubles with each failure in a row. */
  minDelayMs: number
  /** Upper limit of the doubling bound, in milliseconds. */
  maxDelayMs: number
  /** The server's `retry` field in milliseconds, if it sent one. */
  retryMs?: number
  /** Fixed part of each delay, in milliseconds. Default 0. */
  baseMs?: number
}

/** Back-off parameters for this kind of server. `retryMs`: its `retry` field. */
export function backoffFor(reconnect: Backoff & { foreignDelayMs: number }, retryMs: number | undefined, peer: SSEPeer | undefined): Backoff {
  if (peer !== 'foreign') return { ...reconnect, retryMs }
  const baseMs = retryMs ?? reconnect.foreignDelayMs
  return { ...reconnect, minDelayMs: baseMs, retryMs: baseMs, baseMs }
}

/**
 * Milliseconds before the next attempt, with full jitter: a random part of a bound that doubles with each failure in a row. Clients that
 * lose a server at the same time thus reconnect at different times. A foreign server does not jitter its `retry` and expects clients to
 * wait that long: `baseMs` is added in full.
 *
 * `failures`: failures in a row, 1 after the first. `floorMs`: the `Retry-After` header in milliseconds. It is a lower bound, may exceed
 * `maxDelayMs`, and is capped at one hour.
 *
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS 2015.
 */
export function backoffDelay({ minDelayMs, maxDelayMs, retryMs = 0, baseMs = 0 }: Backoff, failures: number, floorMs = 0, random = Math.random): number {
  const bound = Math.min(Math.max(maxDelayMs, retryMs), Math.max(minDelayMs, retryMs) * 2 ** Math.min(failures - 1, MAX_DOUBLINGS))
  return Math.max(baseMs + random() * bound, Math.min(floorMs, MAX_SERVER_DELAY_MS))
}
