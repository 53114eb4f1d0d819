/** Client that is a member, with its connections in this process. */
export interface Attendee {
  readonly id: string
  /** The member as JSON. */
  member: string
  /** The member as the driver had it last, also from another process, as far as this one follows the log; `''` before. */
  acknowledged: string
  connections: number
  /** Time after a disconnect for which it stays, in milliseconds. */
  leaveAfterMs: number
  /** Time at which it leaves, by `performance.now()`; `Infinity` while it has a connection. */
  until: number
}
