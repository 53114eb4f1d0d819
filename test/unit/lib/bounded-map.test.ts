import fc from 'fast-check'
import { expect, it } from 'vitest'
import { BoundedMap } from '../../../src/runtime/server/lib/bounded-map'

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('set' as const), key: fc.nat(12), weight: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('delete' as const), key: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.constant({ type: 'clear' as const }) },
)

it.each(['counts entries', 'weighs values'] as const)('behaves like a list of its entries, oldest first, and reports each dropped entry: %s', (how) => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.integer({ min: 1, max: 12 }), (steps, limit) => {
    const weigh = ({ weight }: { weight: number }) => how === 'counts entries' ? 1 : weight
    const dropped: unknown[] = []
    const map = new BoundedMap<number, { weight: number }>({ limit, ...how === 'weighs values' && { weigh }, onDrop: (key, value) => dropped.push([key, value, map.has(key)]) })
    let model: [number, { weight: number }][] = []
    const gone: unknown[] = []
    const total = () => model.reduce((sum, [, value]) => sum + weigh(value), 0)
    for (const step of steps) {
      if (step.type === 'set') {
        const value = { weight: step.weight }
        map.set(step.key, value)
        model = [...model.filter(([key]) => key !== step.key), [step.key, value]]
        while (total() > limit && model.length > 1) gone.push([...model.shift()!, false])
      }
      else if (step.type === 'delete') {
        expect(map.delete(step.key)).toBe(model.some(([key]) => key === step.key))
        model = model.filter(([key]) => key !== step.key)
      }
      else {
        map.clear()
        model = []
      }
      expect([...map]).toEqual(model)
      expect([map.size, map.weight, dropped]).toEqual([model.length, total(), gone])
    }
  }))
})

it('keeps the newest entry even above the limit, and `undefined` as a value', () => {
  const map = new BoundedMap<string, number | undefined>({ limit: 2, weigh: value => value ?? 1 })
  map.set('light', 1).set('heavy', 5)
  expect([...map]).toEqual([['heavy', 5]])
  map.set('nothing', undefined)
  expect([[...map], map.weight, map.delete('nothing'), map.delete('nothing'), map.weight]).toEqual([[['nothing', undefined]], 1, true, false, 0])
})
