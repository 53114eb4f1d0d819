/**
 * Presence of a channel: records of its members in the driver, beside a log of their changes. A process that has connections of a member
 * holds* it, under a lease. A member is present while at least one process holds it.
 *
 * Records and log change together, atomically, so that each change is one message and one process reports it.
 */

/** Member that a process holds. */
export interface PresenceHold {
  id: string
  /** The member as JSON: `{"id":…,"data":…}`. Data that differs from the known data is an `update`. */
  member: string
  /** Keeps the data of a member that is present. For a process that reports its members again, whose data may be outdated. */
  keep?: boolean
}

/** End of a hold. */
export interface PresenceRelease {
  id: string
  /** Time for which the process still counts as holding the member, in milliseconds, even if its lease ends. 0: it ends at once. */
  afterMs: number
}

/**
 * One step of a process, in this order: its lease, its holds, its releases, then everything that is due. Repeating a request has no further
 * effect.
 */
export interface PresenceRequest {
  /** ID of the process: letters and digits. Needed for everything but reading. */
  holder?: string
  /** Duration of the process's lease, from now on, in milliseconds. When it ends, so do its holds. 0: the process has no lease any more. */
  leaseMs?: number
  hold?: readonly PresenceHold[]
  release?: readonly PresenceRelease[]
  /**
   * Time in which processes can renew their leases after an outage, in milliseconds. If this name had no step for longer than that, perhaps
   * no process could reach the driver: leases and holds that have ended, or end earlier than `graceMs` from now, last until then. A hold gets
   * more time once, a lease {@link MAX_GRACES} times in a row without a renewal. Default 0: none does.
   */
  graceMs?: number
  /** Whether to return the members. */
  list?: boolean
}

export interface PresenceAnswer {
  /** Position of the log after this step. */
  epoch: string
  last: number
  /** Whether the process had a lease before this step that had not ended. If not, its holds may have ended: it must report them again, with `keep`. */
  known: boolean
  /** Number of members present. */
  count: number
  /** Time until something is due, in milliseconds: a later request must perform it. `undefined` if nothing is. */
  dueMs?: number
  /**
   * Time until the members are certain, in milliseconds, if a lease got more time and was not renewed since. Until then, further steps
   * must follow in less than `graceMs`: they show that the driver can be reached. `undefined`: it is certain.
   */
  doubtMs?: number
  /** Members as JSON, for a request with `list`. */
  members?: string[]
}

/**
 * Times that a lease gets more time in a row: a store that is reachable only for moments must not end it. Look-ups that are broken off, and
 * never find out that the process is lost, must not keep it forever.
 */
export const MAX_GRACES = 7

/** `graceMs` as a share of `leaseMs`: longer than the time between two renewals, so that a process that renews its lease is no silence. */
const GRACE = 0.4
/** Steps within `graceMs` while the members are not certain. */
const STEPS_IN_DOUBT = 4

/** `graceMs` of processes with this `leaseMs`. */
export function graceOf(leaseMs: number): number {
  return Math.ceil(leaseMs * GRACE)
}

/** Time until the next step while the members are not certain, in milliseconds. */
export function nextInDoubtMs(leaseMs: number, doubtMs: number): number {
  return Math.min(doubtMs, graceOf(leaseMs) / STEPS_IN_DOUBT)
}

/** Messages of one step at most that end holds which are due. The others follow in the next step, with `dueMs: 0`. */
export const MAX_DUE = 1_000

/** The changes as messages, in the form that readers receive. `member` is JSON. */
export const PRESENCE_MESSAGE = {
  join: (member: string) => `{"type":"join","member":${member}}`,
  update: (member: string) => `{"type":"update","member":${member}}`,
  leave: (id: string) => `{"type":"leave","id":${JSON.stringify(id)}}`,
}
