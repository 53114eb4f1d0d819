/**
 * Lifetimes of channels that receive no writes: how long a driver remembers a channel's epoch, its offsets and its closing. Without them, a
 * client that reconnects receives a gap (`epoch`), although it may have missed nothing.
 *
 * A read renews a lifetime only when less than half of it is left. Reads of a silent channel therefore cause no writes in between. So each
 * lifetime is more than twice the longest interval at which the hub reads a silent channel: 5 minutes, jittered up to 5.75.
 */

/** Lifetime of a channel that was only read. Most of these are names that a client invented. */
const UNWRITTEN_MS = 1_200_000
/** Shortest lifetime of an open channel. */
const OPEN_MS = 3_600_000
/** Lifetime of an open channel, as a multiple of its `maxAgeMs`. */
const OPEN_FACTOR = 10
/** Shortest lifetime of a channel that has ended. */
const ENDED_MS = UNWRITTEN_MS
/** Lifetime of a channel that has ended, as a multiple of its `maxAgeMs`. After that, retention has removed the last message anyway. */
const ENDED_FACTOR = 2.2
/** Lifetime of a channel with a lease, as a multiple of the lease's duration: long enough for its loss and for a restart. */
const LEASE_FACTOR = 3

/** Body of {@link lifeMs} in Lua, for the Redis scripts. */
export const LIFE_MS_LUA = `
  if life.closing then return math.max(age * ${ENDED_FACTOR}, ${ENDED_MS}) end
  if not life.lease and life.last == 0 then return ${UNWRITTEN_MS} end
  return math.max(age * ${OPEN_FACTOR}, ${OPEN_MS}, life.lease and life.lease.time * ${LEASE_FACTOR} or 0)
`

/** Lifetime of a channel, in milliseconds. */
export function lifeMs({ last, closing, maxAgeMs, leaseMs }: { last: number, closing: boolean, maxAgeMs: number, leaseMs?: number }): number {
  if (closing) return Math.max(maxAgeMs * ENDED_FACTOR, ENDED_MS)
  if (leaseMs === undefined && last === 0) return UNWRITTEN_MS
  return Math.max(maxAgeMs * OPEN_FACTOR, OPEN_MS, (leaseMs ?? 0) * LEASE_FACTOR)
}
