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
   * Outage that this process has seen, in milliseconds: it could not reach the driver, and neither could others. Leases and holds that ended
   * meanwhile get another `graceMs`.
   */
  outage?: { ms: number, graceMs: number }
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
  /** Members as JSON, for a request with `list`. */
  members?: string[]
}

/** Messages of one step at most that end holds which are due. The others follow in the next step, with `dueMs: 0`. */
export const MAX_DUE = 1_000

/** The changes as messages, in the form that readers receive. `member` is JSON. */
export const PRESENCE_MESSAGE = {
  join: (member: string) => `{"type":"join","member":${member}}`,
  update: (member: string) => `{"type":"update","member":${member}}`,
  leave: (id: string) => `{"type":"leave","id":${JSON.stringify(id)}}`,
}
