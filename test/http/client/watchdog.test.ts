import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { delay } from '../../../src/runtime/client/delay'
import { createWatchdog } from '../../../src/runtime/client/watchdog'
import { Page } from './model/page'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

const never = () => new AbortController().signal

describe('createWatchdog', () => {
  it('barks when the limit has passed without a sign of life, and not before', () => {
    const dog = createWatchdog(never(), 100)
    vi.advanceTimersByTime(90)
    dog.touch()
    vi.advanceTimersByTime(98)
    expect([dog.expired, dog.signal.aborted]).toEqual([false, false])
    vi.advanceTimersByTime(4)
    expect([dog.expired, dog.signal.aborted]).toEqual([true, true])
    expect(vi.getTimerCount()).toBe(0)
  })

  // @guarantee sleeping-page
  it('a timer that is late, as in a hidden tab, does not outweigh bytes that arrived meanwhile', () => {
    let now = 0
    vi.spyOn(performance, 'now').mockImplementation(() => now)
    const dog = createWatchdog(never(), 100)
    // The browser held the timer up by 900 ms; bytes came 10 ms before it let it fire.
    now = 990
    dog.touch()
    now = 1_000
    vi.advanceTimersToNextTimer()
    expect(dog.expired).toBe(false)
    now = 1_100
    vi.advanceTimersToNextTimer()
    expect(dog.expired).toBe(true)
  })

  // @guarantee sleeping-page
  it('on waking, a connection that sleep has made too old is given up at once, whichever clock stood still', () => {
    const page = new Page()
    page.install()
    for (const clock of [Date, performance]) {
      let now = 0
      vi.spyOn(clock, 'now').mockImplementation(() => now)
      const dog = createWatchdog(never(), 10_000)
      now = 3_600_000
      page.dispatch('resume', 'pageshow', 'visibilitychange', 'online')
      expect(dog.expired).toBe(false)
      vi.advanceTimersToNextTimer()
      expect(dog.expired).toBe(true)
      vi.restoreAllMocks()
    }
    vi.unstubAllGlobals()
  })

  // @guarantee sleeping-page
  it('on waking, bytes that were queued meanwhile count', () => {
    const page = new Page()
    page.install()
    let now = 0
    vi.spyOn(Date, 'now').mockImplementation(() => now)
    const dog = createWatchdog(never(), 10_000)
    now = 3_600_000
    page.dispatch('pageshow', 'online')
    dog.touch()
    vi.advanceTimersByTime(9_000)
    expect(dog.expired).toBe(false)
    vi.advanceTimersByTime(2_000)
    expect(dog.expired).toBe(true)
    vi.restoreAllMocks()
    vi.unstubAllGlobals()
  })

  it('takes another limit, none, and one that no timer can hold', () => {
    const dog = createWatchdog(never(), 100)
    dog.limit(false)
    expect(vi.getTimerCount()).toBe(0)
    vi.advanceTimersByTime(1_000_000)
    dog.limit(Infinity)
    vi.advanceTimersByTime(0x7FFFFFFF * 3)
    expect(dog.expired).toBe(false)
    dog.limit(50)
    vi.advanceTimersByTime(60)
    expect(dog.expired).toBe(true)
  })

  it('leaves no timer when it is stopped, or ends with its parent', () => {
    createWatchdog(never(), 100).stop()
    const parent = new AbortController()
    const dog = createWatchdog(parent.signal, 100)
    parent.abort()
    expect([dog.signal.aborted, dog.expired]).toEqual([true, false])
    dog.stop()
    expect(vi.getTimerCount()).toBe(0)
    createWatchdog(parent.signal, 100).stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('delay', () => {
  it('ends at its time, or at once with its signal, and leaves no timer', async () => {
    const early = new AbortController()
    const late = delay(1_000, never())
    const cut = delay(1_000, early.signal)
    early.abort()
    expect(await cut).toBe(false)
    expect(await delay(1_000, early.signal)).toBe(false)
    vi.advanceTimersByTime(1_000)
    expect(await late).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not end at once because a timer cannot hold it', async () => {
    let over = false
    void delay(1e12, never()).then(() => over = true)
    await vi.advanceTimersByTimeAsync(86_400_000)
    expect(over).toBe(false)
  })
})
