import fc from 'fast-check'
import { expect, it } from 'vitest'
import { reduceSSEPresence } from '../../../src/runtime/app/reduce-sse-presence'
import type { SSEPresenceMember, SSEPresenceMessage } from '../../../src/runtime/shared/presence'

const reduce = (messages: SSEPresenceMessage[], from: SSEPresenceMember[] = []) => messages.reduce<SSEPresenceMember[]>((list, data) => reduceSSEPresence(list, { data }), from)

it('replaces the list with `members`, and adds the parts that continue it', () => {
  const stale = [{ id: 'stale' }]
  expect(reduce([{ type: 'members', members: [] }], stale)).toEqual([])
  expect(reduce([
    { type: 'members', members: [{ id: 'a' }], more: true },
    { type: 'members', members: [{ id: 'b' }], more: true, continues: true },
    { type: 'members', members: [{ id: 'c' }], continues: true },
  ], stale)).toEqual([{ id: 'a' }, { id: 'b' }, { id: 'c' }])
  // Cut off between two parts: the list begins again.
  expect(reduce([{ type: 'members', members: [{ id: 'a' }], more: true }, { type: 'members', members: [{ id: 'b' }] }])).toEqual([{ id: 'b' }])
})

it('members keep their place, and a change that comes twice does no harm', () => {
  expect(reduce([
    { type: 'members', members: [{ id: 'a', data: 1 }, { id: 'b' }] },
    { type: 'update', member: { id: 'a', data: 2 } },
    { type: 'join', member: { id: 'c' } },
    { type: 'join', member: { id: 'c' } },
    { type: 'leave', id: 'b' },
    { type: 'leave', id: 'b' },
  ])).toEqual([{ id: 'a', data: 2 }, { id: 'c' }])
})

it('never changes its argument, and ignores messages of other types', () => {
  const id = fc.constantFrom('a', 'b', 'c')
  const member = fc.record({ id, data: fc.integer() })
  const message: fc.Arbitrary<SSEPresenceMessage> = fc.oneof(
    fc.record({ type: fc.constant('members' as const), members: fc.uniqueArray(member, { selector: one => one.id }) }),
    fc.record({ type: fc.constantFrom('join' as const, 'update' as const), member }),
    fc.record({ type: fc.constant('leave' as const), id }),
  )
  fc.assert(fc.property(fc.array(message), (messages) => {
    const model = new Map<string, SSEPresenceMember>()
    let list: SSEPresenceMember[] = Object.freeze([]) as never
    for (const data of messages) {
      if (data.type === 'members') model.clear()
      if (data.type === 'members') for (const one of data.members) model.set(one.id, one)
      else if (data.type === 'leave') model.delete(data.id)
      else model.set(data.member.id, data.member)
      list = Object.freeze(reduceSSEPresence(list, { data })) as never
    }
    expect(new Map(list.map(one => [one.id, one]))).toEqual(model)
    expect(list).toHaveLength(model.size)
  }))
  expect(reduceSSEPresence([{ id: 'a' }], { data: { type: 'later' } as never })).toEqual([{ id: 'a' }])
})
