import type { SSEPresenceMember, SSEPresenceMessage } from '../shared/presence'

/**
 * The members of a presence (`useSSEPresence`) as a list, for the option `reduce` of `useSSE`. Members keep their place, and new ones come
 * last.
 *
 * ```ts
 * const { data: people } = useSSE('/api/room', { initial: [], reduce: reduceSSEPresence })
 * const { data: people } = useSSE('/api/room', { initial: [], reduce: reduceSSEPresence<{ name: string }> })   // with the type of the data
 * ```
 */
export function reduceSSEPresence<D>(members: SSEPresenceMember<D>[], message: { data: SSEPresenceMessage<D> }): SSEPresenceMember<D>[]
// Not generic: beside `initial: []`, TypeScript infers the type of the list only from such a function.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export function reduceSSEPresence(members: SSEPresenceMember<any>[], message: { data: any }): SSEPresenceMember<any>[]
export function reduceSSEPresence(members: SSEPresenceMember[], { data }: { data: SSEPresenceMessage }): SSEPresenceMember[] {
  switch (data.type) {
    case 'members': return data.continues ? [...members, ...data.members] : data.members
    case 'join':
    case 'update': return members.some(({ id }) => id === data.member.id) ? members.map(one => one.id === data.member.id ? data.member : one) : [...members, data.member]
    case 'leave': return members.filter(({ id }) => id !== data.id)
    default: return members
  }
}
