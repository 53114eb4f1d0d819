import { spread } from '../lib/jitter'

/** At the longest interval, the earliest and the latest look as parts of it. Late enough and close enough that all looks stay spread. */
const EARLIEST = 0.95
const LATEST = 1.15

/**
 * Milliseconds until a channel without notices is read again: `recheckMs` at first, and twice as long after each of the `quiet` looks
 * in a row that found nothing new, up to `maxMs`. Jittered: by half at first, and never more than 15 % beyond `maxMs`.
 */
export function recheckDelayMs(recheckMs: number, maxMs: number, quiet: number): number {
  if (maxMs <= recheckMs) return spread(recheckMs)
  const ms = recheckMs * 2 ** quiet
  if (ms < maxMs) return Math.min(spread(ms), maxMs * LATEST)
  // Channels that were opened together reach the longest interval together. They are spread over all of it once, and stay so.
  const isFirst = ms < 2 * maxMs
  return maxMs * (isFirst ? LATEST * Math.random() : EARLIEST + (LATEST - EARLIEST) * Math.random())
}
