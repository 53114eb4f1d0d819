import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Due, Timers } from '../../../src/runtime/server/lib/platform/contract'
import { platform } from '../../../src/runtime/server/lib/platform/platform'
import { workers } from '../../../src/runtime/server/lib/platform/workers'

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
  vi.resetModules()
})

it.each([['Cloudflare-Workers', true], ['Node.js/24', false], ['Bun/1.3', false], [undefined, false]])('a runtime with the user agent %s counts as Workers: %s', async (userAgent, isWorkers) => {
  vi.stubGlobal('navigator', userAgent && { userAgent })
  vi.resetModules()
  const chosen = await import('../../../src/runtime/server/lib/platform/platform')
  const loaded = await import('../../../src/runtime/server/lib/platform/workers')
  expect(chosen.platform === loaded.workers).toBe(isWorkers)
})

describe.each([['a process', platform], ['Workers', workers]])('turns on %s', (_name, { turns }) => {
  it('a task that hands over another is not the last to run', async () => {
    const own = turns()
    const ran: number[] = []
    await new Promise<void>(resolve => own.afterTick(() => {
      ran.push(1)
      own.afterTick(() => {
        ran.push(2)
        own.afterTick(resolve)
      })
    }))
    expect(ran).toEqual([1, 2])
    own.stop()
  })

  it('a task handed over before the end still runs', async () => {
    const own = turns()
    const done = new Promise<void>(resolve => own.callable(resolve)())
    own.stop()
    await done
  })
})

describe('the pulse of a request', () => {
  it('is there forever in a process', () => {
    const pulse = platform.pulse()
    vi.spyOn(performance, 'now').mockReturnValue(Number.MAX_SAFE_INTEGER)
    expect(pulse.check()).toBe('there')
    vi.restoreAllMocks()
  })

  it('is late on Workers when its timer is late, and gone when the timer is still late at the second check', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    let now = 0
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
    const pulse = workers.pulse()
    const at = (ms: number) => {
      now = ms
      return pulse.check()
    }
    expect([at(4_999), at(5_000), at(5_999)]).toEqual(['there', 'late', 'late'])
    vi.advanceTimersByTime(1_000)
    expect([at(6_500), at(10_998), at(10_999), at(11_998), at(11_999)]).toEqual(['there', 'there', 'late', 'late', 'gone'])
    pulse.stop()
    expect(vi.getTimerCount()).toBe(0)
    clock.mockRestore()
  })
})

describe('recurring tasks', () => {
  beforeEach(() => vi.useFakeTimers())

  it('run by themselves in a process until they are stopped, and again after a restart', () => {
    const task = vi.fn()
    const recurring = platform.recurring(task, 100)
    for (const times of [1, 2]) {
      recurring.start()
      recurring.start()
      vi.advanceTimersByTime(350)
      recurring.stop()
      vi.advanceTimersByTime(350)
      expect([task.mock.calls.length, vi.getTimerCount()]).toEqual([3 * times, 0])
    }
  })

  it('run on Workers when they are started, at most once per interval, and without a timer', () => {
    const task = vi.fn()
    const recurring = workers.recurring(task, 100)
    vi.advanceTimersByTime(1_000)
    recurring.start()
    recurring.start()
    expect([task.mock.calls.length, vi.getTimerCount()]).toEqual([1, 0])
    vi.advanceTimersByTime(1_000)
    recurring.start()
    expect([task.mock.calls.length, vi.getTimerCount()]).toEqual([2, 0])
  })
})

describe('work that one request has started', () => {
  const request = { waitUntil: vi.fn() }

  it('is shared with other requests of a process, and does not retain the request', () => {
    const starting = platform.joinable<number>().set('a', 1)
    expect([starting.get('a'), platform.outliving(request)]).toEqual([1, undefined])
  })

  it('belongs to its request on Workers, and depends on it', () => {
    const starting = workers.joinable<number>().set('a', 1)
    expect([starting.get('a'), starting.size, workers.outliving(request)]).toEqual([undefined, 0, request])
  })

  it.each([['a process', platform], ['Workers', workers]])('keeps the request of %s alive', (_name, { keepAlive }) => {
    const promise = Promise.resolve()
    keepAlive(undefined, promise)
    keepAlive({}, promise)
    keepAlive(request, promise)
    expect(request.waitUntil.mock.calls).toEqual([[promise]])
    request.waitUntil.mockClear()
  })
})

describe('timers', () => {
  /** Timers that remember their members. */
  class Kept extends Set<Due> implements Timers {}
  const due = () => ({ dueAt: () => 7, fire: vi.fn() })

  it('are shared by all requests of a process', () => {
    const kept = new Kept()
    expect(platform.timers(() => kept)).toBe(kept)
  })

  it('belong to each member on Workers, which only forgets members that leave', () => {
    const made: Kept[] = []
    const timers = workers.timers(() => made[made.push(new Kept()) - 1]!)
    const [first, second] = [due(), due()]
    timers.add(first)
    timers.add(second)
    timers.delete(first)
    timers.add(first)
    const members = made.map(([member]) => member!)
    expect([timers.size, made.map(({ size }) => size), members.map(member => member.dueAt())]).toEqual([2, [1, 1, 1], [Infinity, 7, 7]])
    members[1]!.fire(8)
    expect([first.fire.mock.calls, second.fire.mock.calls]).toEqual([[], [[8]]])
  })
})

describe('abandoned connections', () => {
  it('do not exist in a process', () => {
    const abandon = vi.fn()
    platform.watchAbandoned([{ dueAt: () => -Infinity, abandon }], abandon)()
    expect(abandon).not.toHaveBeenCalled()
  })

  it('end on Workers when they are long overdue, at most once a second, and once more after a delay', () => {
    vi.useFakeTimers()
    const now = performance.now()
    const overdue = { dueAt: () => now - 5_001, abandon: vi.fn() }
    const late = { dueAt: () => now - 2_000, abandon: vi.fn() }
    const look = vi.fn().mockReturnValueOnce(true).mockReturnValue(false)
    const watch = workers.watchAbandoned([overdue, late], look)
    const calls = () => [overdue, late].map(({ abandon }) => abandon.mock.calls.length).concat(look.mock.calls.length)
    watch()
    watch()
    expect(calls()).toEqual([1, 0, 1])
    vi.advanceTimersByTime(1_200)
    expect(calls()).toEqual([2, 0, 2])
    vi.advanceTimersByTime(10_000)
    expect([calls(), vi.getTimerCount()]).toEqual([[2, 0, 2], 0])
  })
})
