import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { readState } from '../../../src/runtime/server/drivers/capabilities'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import { Hub } from '../../../src/runtime/server/hub/hub'
import { Pull } from '../../../src/runtime/server/hub/pull'
import { ReadGate } from '../../../src/runtime/server/lib/read-gate'
import type { ReadReason } from '../../../src/runtime/server/lib/read-gate'
import { recheckDelayMs } from '../../../src/runtime/server/hub/rereads'
import { SSEError } from '../../../src/runtime/shared/errors'
import { watchedDriver } from '../../support/drivers'
import { turns } from '../../support/random'
import { VirtualClock } from '../../support/virtual-clock'

const DEFAULTS = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const MINUTE_MS = 60_000
const CHANNELS = 300

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

describe('ReadGate', () => {
  it('runs each read once, never more than the limits at a time, and leaves nothing', async () => {
    const read = fc.record({ reason: fc.constantFrom<ReadReason>('reader', 'channel', 'unread', 'repeat'), turns: fc.nat(3), fails: fc.boolean() })
    await fc.assert(fc.asyncProperty(fc.array(read, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }), async (reads, most, mostRepeats) => {
      const gate = new ReadGate(most, mostRepeats)
      const running = { all: 0, repeats: 0, done: 0 }
      const results = await Promise.allSettled(reads.map(({ reason, turns: time, fails }) => gate.run(reason, async () => {
        running.all++
        if (reason === 'repeat') running.repeats++
        expect(running.all).toBeLessThanOrEqual(most)
        expect(running.repeats).toBeLessThanOrEqual(mostRepeats)
        await turns(time)
        running.all--
        if (reason === 'repeat') running.repeats--
        running.done++
        if (fails) throw new Error('fails')
      })))
      expect(running.done).toBe(reads.length)
      expect(results.map(({ status }) => status)).toEqual(reads.map(({ fails }) => fails ? 'rejected' : 'fulfilled'))
      expect([gate.running, gate.waiting]).toEqual([0, 0])
    }), { numRuns: 50 })
  })

  it('serves readers first, then channels with readers, then other channels, then repeats', async () => {
    const gate = new ReadGate(1, 1)
    const order: ReadReason[] = []
    const held = Promise.withResolvers<void>()
    const all = [gate.run('channel', () => held.promise), ...(['repeat', 'unread', 'channel', 'reader', 'channel'] as const).map(reason => gate.run(reason, () => void order.push(reason)))]
    held.resolve()
    await Promise.all(all)
    expect(order).toEqual(['reader', 'channel', 'channel', 'unread', 'repeat'])
  })
})

describe('recheckDelayMs', () => {
  it('doubles from the shortest to the longest interval, and exceeds it by at most 15 %', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 600_000 }), fc.integer({ min: 1, max: 600_000 }), fc.nat(2_000), (recheckMs, maxMs, quiet) => {
      const delay = recheckDelayMs(recheckMs, maxMs, quiet)
      expect(delay).toBeGreaterThanOrEqual(0)
      expect(delay).toBeLessThanOrEqual(Math.max(1.5 * recheckMs, 1.15 * maxMs))
      if (quiet === 0 && recheckMs < maxMs) expect(delay).toBeGreaterThanOrEqual(Math.min(recheckMs / 2, 0))
      if (recheckMs * 2 ** quiet >= 2 * maxMs && maxMs > recheckMs) expect(delay).toBeGreaterThanOrEqual(0.95 * maxMs)
    }))
  })
})

/** A driver without notices that counts its reads, and can hold them back or fail them. */
function store(recheckMs = 5_000, recheckMaxMs = 300_000) {
  const inner = watchedDriver(undefined, { mute: true })
  const seen = { reads: 0, running: 0, most: 0, failures: [] as number[], down: false, inner, turns: 0 }
  const driver: LogDriver = {
    ...inner,
    recheckMs,
    recheckMaxMs,
    async read(...args) {
      seen.reads++
      seen.most = Math.max(seen.most, ++seen.running)
      try {
        if (seen.turns) await turns(seen.turns)
        if (!seen.down) return await inner.read(...args)
        seen.failures.push(performance.now())
        throw new SSEError('DRIVER_UNAVAILABLE', 'It is away.')
      }
      finally {
        seen.running--
      }
    },
  }
  return Object.assign(seen, { driver })
}

async function readers(hub: Hub, count: number) {
  return Promise.all(Array.from({ length: count }, (_, n) => hub.reader(`c${n}`, undefined, 'start')))
}

describe('many channels with readers after an outage of the store', () => {
  it('are read at most 64 at a time, and all of their readers are correct', async () => {
    const clock = new VirtualClock()
    clock.install()
    const seen = store()
    const hub = new Hub(seen.driver)
    const all = await readers(hub, CHANNELS)
    await turns(5)
    for (let n = 0; n < CHANNELS; n++) await seen.inner.append(`c${n}`, [{ data: `${n}` }], DEFAULTS)
    seen.down = true
    seen.inner.notify({ type: 'changed' })
    await clock.advance(10_000)
    // Repeated reads wait for their turn, at different times.
    const repeats = seen.failures.slice(CHANNELS)
    expect(new Set(repeats).size).toBeGreaterThan(0.5 * repeats.length)
    expect(seen.failures.length).toBeLessThan(12 * CHANNELS)
    seen.down = false
    seen.turns = 1
    seen.most = 0
    seen.inner.notify({ type: 'changed' })
    let behind = CHANNELS
    for (const reader of all) void new Pull(reader).next().then(() => behind--)
    while (behind > 0) await turns(10)
    expect(seen.most).toBeLessThanOrEqual(64)
    expect(seen.most).toBeGreaterThan(16)
    for (const reader of all) reader.close()
    expect([hub.size, seen.inner.listening, clock.pending]).toEqual([0, 0, 0])
  })
})

describe('10,000 silent channels', () => {
  it('cost at most 50 reads a second after ten minutes, with at least one read of each in six minutes', () => {
    // The reads of a silent channel depend only on their delays.
    const looks = Array.from({ length: 10_000 }, () => {
      const times: number[] = []
      for (let at = 0, quiet = 0; at < 60 * MINUTE_MS; quiet++) times.push(at += recheckDelayMs(5_000, 300_000, quiet))
      return times
    })
    const longest = looks.reduce((most, times) => times.reduce((max, time, index) => Math.max(max, time - (times[index - 1] ?? 0)), most), 0)
    expect(longest).toBeLessThanOrEqual(6 * MINUTE_MS)
    const later = looks.flat().filter(time => time >= 10 * MINUTE_MS && time < 60 * MINUTE_MS)
    const perSecond = Array.from({ length: 50 * 6 }, () => 0)
    for (const time of later) perSecond[Math.floor((time - 10 * MINUTE_MS) / 10_000)]! += 0.1
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(50)
  })

  it('are read at this rate by the hub', async () => {
    const clock = new VirtualClock()
    clock.install()
    const seen = store()
    const hub = new Hub(seen.driver)
    const all = await readers(hub, 20)
    await clock.advance(10 * MINUTE_MS)
    const { reads } = seen
    await clock.advance(60 * MINUTE_MS)
    // One read of each in five minutes.
    expect((seen.reads - reads) / 20 / 12).toSatisfy(ratio => ratio > 0.8 && ratio < 1.2)
    for (const reader of all) reader.close()
    expect(clock.pending).toBe(0)
  })

  it.each(['an append', 'a change', 'a change that no notice told of', 'a failure'] as const)('are read within seconds again after %s', async (what) => {
    const clock = new VirtualClock()
    clock.install()
    const seen = store()
    const hub = new Hub(seen.driver)
    const [reader] = await readers(hub, 1)
    await clock.advance(30 * MINUTE_MS)
    const { epoch } = await readState(seen.inner, 'c0')
    if (what === 'an append') {
      await seen.inner.append('c0', [{ data: '1' }], DEFAULTS)
      seen.inner.notify({ type: 'append', epoch, entries: [{ offset: 1, data: '1' }] })
    }
    else if (what === 'a change') {
      seen.inner.notify({ type: 'changed' })
    }
    else if (what === 'a failure') {
      seen.down = true
      seen.inner.notify({ type: 'changed' })
      await clock.advance(1_000)
      seen.down = false
      await clock.advance(3_000)
    }
    else {
      await seen.inner.append('c0', [{ data: '1' }], DEFAULTS)
      const { reads } = seen
      while (seen.reads === reads) await clock.advance(1_000)
      expect(reader!.step()).toMatchObject({ type: 'messages' })
    }
    await clock.advance(1)
    const { reads } = seen
    await clock.advance(7_500)
    expect(seen.reads).toBeGreaterThan(reads)
    reader!.close()
    expect(clock.pending).toBe(0)
  })

  it.each([10_000, MINUTE_MS, 30 * MINUTE_MS])('are still read after a read waited %d ms for its turn, which is longer than the interval', async (waitMs) => {
    const clock = new VirtualClock()
    clock.install()
    const seen = store()
    const gate = new ReadGate(1, 1)
    const hub = new Hub({ ...seen.driver, gate })
    const all = await readers(hub, 10)
    await turns(5)
    const held = Promise.withResolvers<void>()
    const holds = gate.run('reader', () => held.promise)
    seen.inner.notify({ type: 'changed' })
    const { reads } = seen
    await clock.advance(waitMs)
    // Each channel waits once, however often it was due.
    expect([seen.reads - reads, gate.waiting]).toEqual([0, all.length])
    held.resolve()
    await holds
    while (gate.waiting + gate.running) await turns(1)
    expect(seen.reads - reads).toBe(all.length)
    for (let n = 0; n < all.length; n++) await seen.inner.append(`c${n}`, [{ data: '1' }], DEFAULTS)
    // These messages give no notice.
    await clock.advance(7_500)
    expect(all.map(reader => reader.step())).toEqual(all.map(() => expect.objectContaining({ type: 'messages' })))
    for (const reader of all) reader.close()
    expect(clock.pending).toBe(0)
  })

  it('a driver without a longest interval is read at its own', async () => {
    const clock = new VirtualClock()
    clock.install()
    const seen = store(1_000)
    const { recheckMaxMs: _, ...driver } = seen.driver
    const hub = new Hub(driver)
    const [reader] = await readers(hub, 1)
    await clock.advance(10 * MINUTE_MS)
    const { reads } = seen
    await clock.advance(MINUTE_MS)
    expect(seen.reads - reads).toBeGreaterThan(40)
    reader!.close()
  })
})
