import type { SSEPresenceMember } from '../../shared/presence'
import { Presence } from '../presence/presence'
import type { SSEPresence, SSEPresenceOptions } from '../presence/types'
import { useSSEContext } from '../entry/runtime-context'

/**
 * Who is connected: return it from `defineSSEHandler`, alone or as a value of `useSSEChannels`. A client that streams or polls the route is
 * present as `member`; without one, it only watches. Several connections with one `id` are one member, on all instances.
 *
 * ```ts
 * return useSSEPresence(`room:${id}`, { id: user.id, data: { name: user.name } })
 * ```
 *
 * In the app, `reduceSSEPresence` makes the messages a list. On the server, `members()` and `count()` read it.
 *
 * @param name a well-formed string of 1 to 512 bytes. A channel of the same name is separate.
 * @param member the client: its `id`, a well-formed string of 1 to 512 bytes, and `data` for the others to see
 * @throws `INVALID_CHANNEL`, `INVALID_OPTION`, `INVALID_DATA`, `MESSAGE_TOO_LARGE`
 */
export function useSSEPresence<D = unknown>(name: string, member?: SSEPresenceMember<D>, options: SSEPresenceOptions = {}): SSEPresence<D> {
  return new Presence<D>(useSSEContext(), name, member, options)
}
