import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffDelay } from '../../../src/runtime/client/backoff'
import { parseRetryAfter } from '../../../src/runtime/client/fallback/read-refusal'

const times = { minDelayMs: fc.integer({ min: 0, max: 10_000 }), maxDelayMs: fc.integer({ min: 0, max: 100_000 }), retryMs: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }) }
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('backoffDelay', () => {
  it('is a random part of a bound that doubles, up to the larger of maxDelayMs and the server\'s retry', () => {
    fc.assert(fc.property(fc.record(times), fc.integer({ min: 1, max: 2_000 }), random, (backoff, failures, part) => {
      const base = Math.max(backoff.minDelayMs, backoff.retryMs ?? 0)
      const doubled = base === 0 ? 0 : base * 2 ** (failures - 1)
      const bound = Math.min(Math.max(backoff.maxDelayMs, backoff.retryMs ?? 0), doubled)
      expect(backoffDelay(backoff, failures, 0, () => part)).toBeCloseTo(part * bound, 5)
    }))
  })

  it('never waits less than Retry-After, also above maxDelayMs, up to one hour', () => {
    fc.assert(fc.property(fc.record(times), fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 10_000_000 }), (backoff, failures, floor) => {
      expect(backoffDelay(backoff, failures, floor)).toBeGreaterThanOrEqual(Math.min(floor, 3_600_000))
    }))
    expect(backoffDelay({ minDelayMs: 1, maxDelayMs: 2 }, 1, 86_400_000)).toBe(3_600_000)
  })

  it('waits the full time that a server of another kind requests, plus up to as much again', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 50 }), random, (baseMs, failures, part) => {
      const delay = backoffDelay({ minDelayMs: baseMs, maxDelayMs: 20_000, retryMs: baseMs, baseMs }, failures, 0, () => part)
      expect(delay).toBeGreaterThanOrEqual(baseMs)
      if (failures === 1) expect(delay).toBeLessThanOrEqual(2 * baseMs)
    }))
  })

  it('spreads a thousand clients that fail together over time', () => {
    const delays = Array.from({ length: 1_000 }, () => backoffDelay({ minDelayMs: 1_000, maxDelayMs: 20_000 }, 4))
    const inFirstTenth = delays.filter(delay => delay < 800).length
    expect(inFirstTenth).toBeGreaterThan(50)
    expect(inFirstTenth).toBeLessThan(150)
  })
})

describe('parseRetryAfter', () => {
  it('takes seconds and dates, and nothing else', () => {
    const now = Date.parse('2026-11-21T00:00:00Z')
    expect(parseRetryAfter('120', now)).toBe(120_000)
    expect(parseRetryAfter('0', now)).toBe(0)
    expect(parseRetryAfter('Sat, 21 Nov 2026 00:00:05 GMT', now)).toBe(5_000)
    expect(parseRetryAfter('Fri, 20 Nov 2026 00:00:00 GMT', now)).toBe(0)
    for (const nonsense of [null, '', 'soon', '-', '1e']) expect(parseRetryAfter(nonsense, now)).toBeUndefined()
  })
})
