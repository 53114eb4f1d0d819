/**
 * How long drivers remember a channel that nobody writes to: its epoch, its offsets and how it ended. Without them a client that
 * reconnects receives a gap (`epoch`), although it may have missed nothing.
 *
 * Reading renews a life time when less than half of it is left, so that reading a silent channel writes nothing in between. Each life
 * time is therefore more than twice the longest interval at which the hub reads a silent channel: 5 minutes, jittered up to 7.5.
 */

/** A channel that was only read: most of those are names that a client made up. */
export const UNWRITTEN_MS = 1_200_000
/** An open channel, at least. */
const OPEN_MS = 3_600_000
/** An open channel is remembered for this many times its `maxAgeMs`. */
const OPEN_FACTOR = 10
/** A channel that has ended, at least. */
const ENDED_MS = UNWRITTEN_MS
/** A channel that has ended is remembered for this many times its `maxAgeMs`: until a client that missed the last message would miss it anyway. */
const ENDED_FACTOR = 2.2
/** A channel with a lease is remembered for this many times the lease's duration: long enough for its loss, and for a restart. */
const LEASE_FACTOR = 3

/** The body of {@link lifeMs} in Lua, for the scripts of Redis. */
export const LIFE_MS_LUA = `
  if life.closing then return math.max(age * ${ENDED_FACTOR}, ${ENDED_MS}) end
  if not life.lease and life.last == 0 then return ${UNWRITTEN_MS} end
  return math.max(age * ${OPEN_FACTOR}, ${OPEN_MS}, life.lease and life.lease.time * ${LEASE_FACTOR} or 0)
`

/** The life time of a channel, in milliseconds. */
export function lifeMs({ last, closing, maxAgeMs, leaseMs }: { last: number, closing: boolean, maxAgeMs: number, leaseMs?: number }): number {
  if (closing) return Math.max(maxAgeMs * ENDED_FACTOR, ENDED_MS)
  if (leaseMs === undefined && last === 0) return UNWRITTEN_MS
  return Math.max(maxAgeMs * OPEN_FACTOR, OPEN_MS, (leaseMs ?? 0) * LEASE_FACTOR)
}
