import type { SSEPeer } from './types'

/** The longest wait that a server may ask for, in whatever way. */
export const MAX_ASKED_MS = 3_600_000

/** 2 to the 1,024 is Infinity, and nothing times that is NaN. */
const MAX_DOUBLINGS = 40

export interface Backoff {
  minDelayMs: number
  maxDelayMs: number
  /** The server's `retry` field, if it sent one. */
  retryMs?: number
  /** What is always waited, in milliseconds. Default 0. */
  baseMs?: number
}

/** What delays are made of, for the kind of server that this is. `retryMs`: its `retry` field. */
export function backoffFor(reconnect: Backoff & { foreignDelayMs: number }, retryMs: number | undefined, peer: SSEPeer | undefined): Backoff {
  if (peer !== 'foreign') return { ...reconnect, retryMs }
  const baseMs = retryMs ?? reconnect.foreignDelayMs
  return { ...reconnect, minDelayMs: baseMs, retryMs: baseMs, baseMs }
}

/**
 * Milliseconds before the next attempt: full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS 2015). A random part of a bound
 * that doubles with every failure in a row, so that clients which lost a server together do not come back together.
 *
 * A server of another kind has not jittered its `retry`, and expects it to be waited: `baseMs` is waited in full, with the random part on top.
 *
 * `failures` counts those in a row, 1 after the first. `floorMs` is what `Retry-After` asked for: a floor, also above
 * `maxDelayMs`, up to one hour.
 */
export function backoffDelay({ minDelayMs, maxDelayMs, retryMs = 0, baseMs = 0 }: Backoff, failures: number, floorMs = 0, random = Math.random): number {
  const bound = Math.min(Math.max(maxDelayMs, retryMs), Math.max(minDelayMs, retryMs) * 2 ** Math.min(failures - 1, MAX_DOUBLINGS))
  return Math.max(baseMs + random() * bound, Math.min(floorMs, MAX_ASKED_MS))
}
