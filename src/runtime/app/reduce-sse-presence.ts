import type { SSEPresenceMember, SSEPresenceMessage } from '../shared/presence'

/**
 * The members of a presence (`useSSEPresence`) as a list, for the option `reduce` of `useSSE`. Members keep their place, and new ones come
 * last.
 *
 * ```ts
 * const { data: people } = useSSE('/api/room', { initial: [], reduce: reduceSSEPresence })
 * ```
 */
export function reduceSSEPresence<D = unknown>(members: SSEPresenceMember<D>[], { data }: { data: SSEPresenceMessage<D> }): SSEPresenceMember<D>[] {
  switch (data.type) {
    case 'members': return data.continues ? [...members, ...data.members] : data.members
    case 'join':
    case 'update': return members.some(({ id }) => id === data.member.id) ? members.map(one => one.id === data.member.id ? data.member : one) : [...members, data.member]
    case 'leave': return members.filter(({ id }) => id !== data.id)
    default: return members
  }
}
