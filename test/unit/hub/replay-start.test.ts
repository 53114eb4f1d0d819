import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { gapAfter, resolveStart } from '../../../src/runtime/server/hub/replay-start'

const state = { epoch: 'e', first: 5, last: 9, closing: null }

describe('resolveStart', () => {
  const gap = (reason: string, missed: number | null) => ({ offset: 4, resumed: false, gap: { reason, missed, position: 'e.4' } })
  // @guarantee bad-position
  it.each([
    ['nothing, from start', undefined, 'start', { offset: 4, resumed: false, gap: null }],
    ['nothing, from now', undefined, 'now', { offset: 9, resumed: false, gap: null }],
    ['start', { kind: 'start' }, 'now', { offset: 4, resumed: false, gap: null }],
    ['now', { kind: 'now' }, 'start', { offset: 9, resumed: false, gap: null }],
    ['right before the oldest', { kind: 'at', epoch: 'e', offset: 4 }, 'start', { offset: 4, resumed: true, gap: null }],
    ['the end', { kind: 'at', epoch: 'e', offset: 9 }, 'start', { offset: 9, resumed: true, gap: null }],
    ['one before the oldest', { kind: 'at', epoch: 'e', offset: 3 }, 'start', gap('trimmed', 1)],
    ['a bare 0', { kind: 'count', offset: 0 }, 'now', gap('trimmed', 4)],
    ['a bare number that is kept', { kind: 'count', offset: 6 }, 'now', { offset: 6, resumed: true, gap: null }],
    ['beyond the end', { kind: 'at', epoch: 'e', offset: 10 }, 'now', gap('invalid', null)],
    ['a bare number beyond the end', { kind: 'count', offset: 10 }, 'now', gap('invalid', null)],
    ['another epoch', { kind: 'at', epoch: 'f', offset: 6 }, 'now', gap('epoch', null)],
    ['malformed', 'malformed', 'now', gap('invalid', null)],
  ] as const)('%s', (_, request, from, expected) => {
    expect(resolveStart(request, from, state)).toEqual(expected)
  })

  it('handles an empty log, and one without kept messages', () => {
    expect(resolveStart({ kind: 'count', offset: 0 }, 'start', { ...state, first: 1, last: 0 })).toEqual({ offset: 0, resumed: true, gap: null })
    expect(resolveStart({ kind: 'count', offset: 2 }, 'start', { ...state, first: 10, last: 9 })).toEqual({ offset: 9, resumed: false, gap: { reason: 'trimmed', missed: 7, position: 'e.9' } })
    expect(gapAfter({ epoch: 'e', offset: 9 }, { ...state, first: 10, last: 9 })).toBeNull()
  })

  // @guarantee order-once
  it('missed messages, kept messages and the position to continue from always add up', () => {
    fc.assert(fc.property(fc.nat(50), fc.nat(50), fc.nat(120), (trimmed, kept, offset) => {
      const log = { epoch: 'e', first: trimmed + 1, last: trimmed + kept, closing: null }
      const start = resolveStart({ kind: 'at', epoch: 'e', offset }, 'start', log)
      expect(start.offset).toBeGreaterThanOrEqual(trimmed)
      expect(start.offset).toBeLessThanOrEqual(log.last)
      if (start.gap) expect(start.gap.position).toBe(`e.${start.offset}`)
      expect(start.resumed).toBe(start.gap === null)
      if (offset <= log.last) expect(offset + (start.gap?.missed ?? 0)).toBe(start.offset)
      else expect(start.gap?.reason).toBe('invalid')
    }), { numRuns: 1_000 })
  })
})
