/** Member of a presence. Several connections with one `id` are one member. */
export interface SSEPresenceMember<D = unknown> {
  id: string
  /** Data of the member, such as a name; absent if the route gave none. */
  data?: D
}

/**
 * Message of a presence.
 * - `members` replaces the list. It comes first, and after each gap. A long list comes in parts: all but the last have `more`, and all but
 *   the first `continues`.
 * - `join`, `update` (other data) and `leave` change it.
 */
export type SSEPresenceMessage<D = unknown>
  = | { type: 'members', members: SSEPresenceMember<D>[], more?: true, continues?: true }
    | { type: 'join' | 'update', member: SSEPresenceMember<D> }
    | { type: 'leave', id: string }
