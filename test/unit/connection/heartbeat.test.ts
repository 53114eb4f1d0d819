import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Due } from '../../../src/runtime/server/lib/platform/contract'
import { Heartbeats } from '../../../src/runtime/server/connection/heartbeat'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

/** Member that is due `everyMs` after its last activity, like a connection. */
class Beat implements Due {
  touchedAt = performance.now()
  readonly fired: number[] = []
  over = false

  constructor(readonly everyMs: number, readonly onFire?: (beat: Beat) => void) {}

  dueAt(): number {
    return this.over ? Infinity : this.touchedAt + this.everyMs
  }

  fire(): void {
    this.fired.push(performance.now())
    this.touchedAt = performance.now()
    this.onFire?.(this)
  }
}

describe('heartbeats', () => {
  it.each([1, 3, 20])('fire in any slot although other members throw: %i of them', (many) => {
    const reported: unknown[] = []
    const heartbeats = new Heartbeats(error => reported.push(error))
    const failing = Array.from({ length: many }, (_, index) => new Beat(1_000, () => {
      throw new Error(`member ${index}`)
    }))
    const others = [200, 1_000, 1_000, 15_000].map(everyMs => new Beat(everyMs))
    // Before, between and after the other members of the slot.
    for (const beat of [...failing.slice(0, many / 2), others[1]!, ...failing.slice(many / 2), others[0]!, others[2]!, others[3]!]) heartbeats.add(beat)
    vi.advanceTimersByTime(31_000)
    expect(others.map(({ fired }) => fired.length)).toEqual([expect.closeTo(155, -1), expect.closeTo(30, -1), expect.closeTo(30, -1), 2])
    // A failing member fires again when it is due again.
    for (const { fired } of failing) expect(fired.length).toBe(others[1]!.fired.length)
    expect(reported).toHaveLength(many * failing[0]!.fired.length)
    for (const beat of [...failing, ...others]) heartbeats.delete(beat)
    expect([heartbeats.size, vi.getTimerCount()]).toEqual([0, 0])
  })

  it('do not fire forever when a member throws before it sets its next time', () => {
    const reported: unknown[] = []
    const heartbeats = new Heartbeats(error => reported.push(error))
    const due = performance.now() + 100
    heartbeats.add({
      dueAt: () => due,
      fire() {
        throw new Error('stuck')
      },
    })
    vi.advanceTimersByTime(10_000)
    expect([reported.length, heartbeats.size, vi.getTimerCount()]).toEqual([1, 0, 0])
  })

  it.each([[15_000, 100], [2_500, 100], [1_000, 10], [200, 10], [20, 10]])('fire every %i ms, at most one slot of %i ms late and never early', (everyMs, slotMs) => {
    const heartbeats = new Heartbeats()
    vi.advanceTimersByTime(37)
    const start = performance.now()
    const beat = new Beat(everyMs)
    heartbeats.add(beat)
    vi.advanceTimersByTime(everyMs * 10 + slotMs * 10)
    expect(beat.fired.length).toBeGreaterThanOrEqual(9)
    let last = start
    for (const at of beat.fired) {
      expect(at - last).toBeGreaterThanOrEqual(everyMs - 1)
      expect(at - last).toBeLessThanOrEqual(everyMs + slotMs + 1)
      last = at
    }
    heartbeats.delete(beat)
  })

  it('move with the traffic: a connection that sends is not woken', () => {
    const heartbeats = new Heartbeats()
    const beat = new Beat(1_000)
    heartbeats.add(beat)
    for (let i = 0; i < 20; i++) {
      vi.advanceTimersByTime(500)
      beat.touchedAt = performance.now()
    }
    expect(beat.fired).toEqual([])
    vi.advanceTimersByTime(1_010)
    expect(beat.fired).toHaveLength(1)
    heartbeats.delete(beat)
  })

  it('use one timer for 10,000 members, and none after the last has gone', () => {
    const heartbeats = new Heartbeats()
    const beats = Array.from({ length: 10_000 }, (_, i) => new Beat(1_000 + i))
    for (const beat of beats) heartbeats.add(beat)
    expect([heartbeats.size, vi.getTimerCount()]).toEqual([10_000, 1])
    vi.advanceTimersByTime(12_000)
    expect(beats.every(({ fired }) => fired.length >= 1)).toBe(true)
    expect([heartbeats.size, vi.getTimerCount()]).toEqual([10_000, 1])
    for (const beat of beats) heartbeats.delete(beat)
    expect([heartbeats.size, vi.getTimerCount()]).toEqual([0, 0])
  })

  // @guarantee dead-heartbeat
  it('do not fire for a member that was removed during a heartbeat, or one that is over', () => {
    const heartbeats = new Heartbeats()
    const other = new Beat(100)
    const self = new Beat(100, (beat) => {
      beat.over = true
      other.over = true
      heartbeats.delete(beat)
      heartbeats.delete(other)
    })
    heartbeats.add(self)
    heartbeats.add(other)
    vi.advanceTimersByTime(1_000)
    expect([self.fired.length, other.fired.length, heartbeats.size, vi.getTimerCount()]).toEqual([1, 0, 0, 0])
    heartbeats.delete(other)
    heartbeats.add(other)
    expect([heartbeats.size, vi.getTimerCount()]).toEqual([0, 0])
  })

  it('take in an earlier member before a later one', () => {
    const heartbeats = new Heartbeats()
    const late = new Beat(60_000)
    const early = new Beat(50)
    heartbeats.add(late)
    heartbeats.add(early)
    vi.advanceTimersByTime(60)
    expect([early.fired.length, late.fired.length, vi.getTimerCount()]).toEqual([1, 0, 1])
    heartbeats.delete(early)
    heartbeats.delete(late)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('keep the longest delay that an option allows', () => {
    vi.useRealTimers()
    const heartbeats = new Heartbeats()
    const delays: number[] = []
    const setTimeout = vi.spyOn(globalThis, 'setTimeout').mockImplementation(((_: unknown, ms: number) => {
      delays.push(ms)
      return { unref() {} }
    }) as never)
    heartbeats.add(new Beat(2_147_483_647))
    setTimeout.mockRestore()
    expect(delays).toHaveLength(1)
    expect(delays[0]).toBeGreaterThan(1_000_000)
    expect(delays[0]).toBeLessThanOrEqual(2_147_483_647)
  })
})
