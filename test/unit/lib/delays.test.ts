import fc from 'fast-check'
import { afterEach, expect, it, vi } from 'vitest'
import { retryDelayMs } from '../../../src/runtime/server/lib/delays'

afterEach(() => void vi.restoreAllMocks())

const policy = fc.record({ firstMs: fc.integer({ min: 1, max: 10_000 }), factor: fc.integer({ min: 1, max: 1_000 }) }).map(({ firstMs, factor }) => ({ firstMs, maxMs: firstMs * factor }))

it('waits between half of the bound and the bound, which doubles from `firstMs` up to `maxMs` and stays there', () => {
  fc.assert(fc.property(policy, fc.nat(3_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (policy, failures, random) => {
    vi.spyOn(Math, 'random').mockReturnValue(random)
    let bound = policy.firstMs
    for (let i = 0; i < failures && bound < policy.maxMs; i++) bound = Math.min(policy.maxMs, 2 * bound)
    const ms = retryDelayMs(policy, failures)
    expect(ms).toBeGreaterThanOrEqual(bound / 2)
    expect(ms).toBeLessThanOrEqual(bound)
    expect(ms).toBeCloseTo(bound / 2 + random * bound / 2)
  }))
})

it('gives a different time to each caller, after any number of failures', () => {
  fc.assert(fc.property(policy, fc.nat(100), (policy, failures) => {
    expect(new Set(Array.from({ length: 20 }, () => retryDelayMs(policy, failures))).size).toBeGreaterThan(10)
  }))
})
