import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RecentMessages } from '../../../src/runtime/server/hub/recent-messages'
import { Run } from '../../../src/runtime/server/hub/run'
import { encodeMessage } from '../../../src/runtime/server/wire/encode'

describe('recent messages', () => {
  // @guarantee order-once, read-then-subscribe, publish-order
  it('a run continues exactly at the requested position, or requires a read of the log, whatever arrives late, twice or with holes', () => {
    const batch = fc.record({ from: fc.integer({ min: 1, max: 40 }), count: fc.integer({ min: 0, max: 6 }), after: fc.nat(45), maxBytes: fc.integer({ min: 1, max: 40 }), reset: fc.option(fc.nat(40), { freq: 15 }) })
    fc.assert(fc.property(fc.array(batch, { maxLength: 40, size: 'max' }), fc.integer({ min: 1, max: 8 }), fc.integer({ min: 4, max: 60 }), (batches, messages, bytes) => {
      const recent = new RecentMessages('e', 0, { messages, bytes })
      let last = 0
      let pushedSinceReset = 0
      for (const { from, count, after, maxBytes, reset } of batches) {
        if (reset !== null && reset > last) {
          recent.reset(reset)
          last = reset
          pushedSinceReset = 0
        }
        const taken = recent.push(Array.from({ length: count }, (_, i) => ({ offset: from + i, data: `"${from + i}"` })))
        expect(taken).toBe(count === 0 || from <= last + 1)
        if (taken && from + count - 1 > last && count > 0) {
          pushedSinceReset += from + count - 1 - last
          last = from + count - 1
        }
        expect(recent.size).toBeLessThanOrEqual(Math.min(messages, pushedSinceReset))
        for (let twice = 0; twice < 2; twice++) {
          const run = recent.runAfter(after, maxBytes)
          const oldest = last - recent.size
          expect(run !== undefined).toBe(after < last && after >= oldest)
          if (!run) continue
          expect(run.entries.map(({ offset }) => offset)).toEqual(run.entries.map((_, i) => after + 1 + i))
          expect(run.entries.every(({ offset, data }) => data === `"${offset}"`)).toBe(true)
          expect(run.last).toBe(after + run.entries.length)
        }
      }
    }), { numRuns: 1_000 })
  })

  it('a run has the bytes of its messages, encoded once', () => {
    const run = new Run('e', [{ offset: 1, data: '1' }, { offset: 2, event: 'x', data: '"é"' }])
    expect(new TextDecoder().decode(run.bytes)).toBe('id: e.1\ndata: 1\n\nid: e.2\nevent: x\ndata: "é"\n\n')
    expect(run.bytes).toBe(run.bytes)
  })

  // @guarantee bounded
  it('long messages of any alphabet are evicted at the limit, however many came before', () => {
    const recent = new RecentMessages('e', 0, { messages: 1_000, bytes: 100_000 })
    for (let offset = 1; offset <= 300; offset++) recent.push([{ offset, data: JSON.stringify('é'.repeat(5_000)) }])
    expect(recent.size).toBe(9)
  })

  it('long messages are stored as bytes, and look the same on the wire', () => {
    const entry = fc.record({ data: fc.oneof(fc.string({ unit: 'binary' }), fc.constant('é😀\u2028'.repeat(1_000))).map(text => JSON.stringify(text)), event: fc.option(fc.constantFrom('a', 'é'), { nil: undefined }) })
    fc.assert(fc.property(fc.array(entry, { minLength: 1, maxLength: 8 }), (given) => {
      const entries = given.map((message, index) => ({ offset: index + 1, ...message }))
      const recent = new RecentMessages('e', 0, { messages: 100, bytes: 1e6 })
      recent.push(entries)
      const run = recent.runAfter(0, 1e6)!
      expect(run.entries.some(({ data }) => typeof data !== 'string')).toBe(given.some(({ data }) => data.length > 2_000))
      expect(new TextDecoder().decode(run.bytes)).toBe(entries.map(({ offset, event, data }) => encodeMessage({ id: `e.${offset}`, event, data })).join(''))
    }))
  })

  // @guarantee bounded
  it('counts each encoding that is kept, and keeps those of two keys at most', () => {
    const recent = new RecentMessages('e', 0, { messages: 100, bytes: 1e6 })
    const push = (offset: number) => recent.push([{ offset, data: JSON.stringify('x'.repeat(998)) }])
    push(1)
    const run = recent.runAfter(0, 1e6)!
    expect(run.copies).toBe(0)
    void run.bytes
    const [a, b] = ['a', 'b'].map(key => run.bytesOf(key))
    expect([run.bytesOf('a'), run.bytesOf('b'), run.copies]).toEqual([a, b, 3])
    expect(run.bytesOf('a')).toBe(a)
    run.bytesOf('c')
    expect([run.copies, run.bytesOf('c') === run.bytesOf('c'), run.bytesOf('a') === a]).toEqual([3, true, false])
    push(2)
    expect(recent.bytes).toBe((1 + 3) * 2_000 + 2 * 128)
  })
})
