import process from 'node:process'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createSSEContext } from '../../../src/runtime/server/context/context'
import type { SSEContext } from '../../../src/runtime/server/context/context'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { unpackData } from '../../../src/runtime/server/drivers/packed-data'
import { Presence } from '../../../src/runtime/server/presence/presence'
import { resolveHandlerOptions } from '../../../src/runtime/server/resolve-options'
import type { SSEPresenceMessage } from '../../../src/runtime/shared/presence'
import { createFailingDriver } from '../../../src/runtime/test'
import type { FailingDriver } from '../../../src/runtime/test'
import { settled } from '../../support/virtual-clock'

const RETENTION = { maxMessages: 10_000, maxAgeMs: 3_600_000_000, maxBytes: 67_108_864 }
const RUNS = 30 * Number(process.env.SSE_RUNS ?? 1)
/** Moves of the clock within a lease. */
const TICKS = 100
/** Lateness of a look for members that are due: a move of the clock, and the 50 ms of its random delay. */
const LATE_MS = 100

/** Processes that share one store, on a clock of their own. */
class World {
  readonly #shared = createMemoryDriver(RETENTION)
  readonly all: { context: SSEContext, driver: FailingDriver }[] = []

  constructor(readonly options: { leaseMs: number, leaveAfterMs: number }) {}

  start(): { context: SSEContext, driver: FailingDriver } {
    const driver = createFailingDriver({ ...this.#shared, close: async () => {} })
    const started = { context: createSSEContext({ options: resolveHandlerOptions({ ...this.options, shutdownMs: 0 }), driver, report: () => {} }), driver }
    this.all.push(started)
    return started
  }

  async pass(ms: number): Promise<void> {
    const tickMs = this.options.leaseMs / TICKS
    for (let passed = 0; passed < ms; passed += tickMs) {
      vi.advanceTimersByTime(Math.min(tickMs, ms - passed))
      for (let turn = 0; turn < 4; turn++) await settled()
    }
  }

  /** Lets time pass until it has settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isOver = false
    const over = () => void (isOver = true)
    promise.then(over, over)
    while (!isOver) await this.pass(1)
    return promise
  }

  /** IDs of the members that have left, in order. */
  async left(): Promise<string[]> {
    const { entries } = await this.#shared.read('nuxt-sse:presence:room', 0, { messages: 10_000, bytes: 10_000_000 })
    return entries.map(({ data }) => JSON.parse(unpackData(data)) as SSEPresenceMessage).flatMap(message => message.type === 'leave' ? [message.id] : [])
  }

  async close(): Promise<void> {
    for (const { driver } of this.all) driver.fail('all')
    const closed = Promise.all(this.all.map(({ context }) => context.close()))
    await this.until(closed)
  }
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] }))
afterEach(() => void vi.useRealTimers())

const leaseMs = fc.constantFrom(300, 1_000, 3_000)
const options = fc.record({ leaseMs, leaveAfterMs: fc.constantFrom(0, 100, 5_000) })

describe('members of a process that is killed', () => {
  // @guarantee presence
  it('are gone after two leases, however long a lease is and whenever it is killed, and once', async () => {
    await fc.assert(fc.asyncProperty(options, fc.double({ min: 0, max: 3, noNaN: true }), fc.boolean(), async (chosen, leases, isWatcher) => {
      const world = new World(chosen)
      const [killed, other] = [world.start(), world.start()]
      await world.until(new Presence(killed.context, 'room', { id: 'ann' }).enter())
      await world.pass(leases / 2 * chosen.leaseMs)
      if (isWatcher) new Presence(other.context, 'room').watch()
      else await world.until(new Presence(other.context, 'room', { id: 'ben' }).enter())
      await world.pass(leases / 2 * chosen.leaseMs)
      killed.driver.fail('all')
      await world.pass(2 * chosen.leaseMs + LATE_MS)
      expect(await world.left()).toEqual(['ann'])
      await world.pass(3 * chosen.leaseMs)
      expect(await world.left()).toEqual(['ann'])
      await world.close()
    }), { numRuns: RUNS })
  })

  // @guarantee presence
  it('are gone for a process that looks later, and that never knew them', async () => {
    await fc.assert(fc.asyncProperty(options, fc.integer({ min: 2, max: 20 }), async (chosen, leases) => {
      const world = new World(chosen)
      const killed = world.start()
      await world.until(new Presence(killed.context, 'room', { id: 'ann' }).enter())
      killed.driver.fail('all')
      await world.pass(leases * chosen.leaseMs)
      const { context } = world.start()
      expect(await world.until(new Presence(context, 'room').count())).toBe(0)
      expect(await world.until(new Presence(context, 'room').members())).toEqual([])
      await world.close()
    }), { numRuns: RUNS })
  })
})

describe('members of a process that was stopped and whose clients did not reconnect', () => {
  // @guarantee presence
  it('leave for a process that only watches, however its steps fall', async () => {
    await fc.assert(fc.asyncProperty(options, fc.double({ min: 0, max: 3, noNaN: true }), async (chosen, leases) => {
      const world = new World(chosen)
      const [stopped, other] = [world.start(), world.start()]
      await world.until(new Presence(stopped.context, 'room', { id: 'ann' }).enter())
      await world.pass(leases / 2 * chosen.leaseMs)
      new Presence(other.context, 'room').watch()
      await world.pass(leases / 2 * chosen.leaseMs)
      await world.until(stopped.context.close())
      await world.pass(chosen.leaveAfterMs + 2 * chosen.leaseMs + LATE_MS)
      expect(await world.left()).toEqual(['ann'])
      await world.close()
    }), { numRuns: RUNS })
  })

  // @guarantee presence
  it('are gone for look-ups, however seldom there is one', async () => {
    await fc.assert(fc.asyncProperty(options, fc.double({ min: 1, max: 10, noNaN: true }), async (chosen, leases) => {
      const world = new World(chosen)
      const stopped = world.start()
      await world.until(new Presence(stopped.context, 'room', { id: 'ann' }).enter())
      await world.until(stopped.context.close())
      await world.pass(chosen.leaveAfterMs)
      const counts: number[] = []
      for (let look = 0; look < 3; look++) {
        await world.pass(leases * chosen.leaseMs)
        counts.push(await world.until(new Presence(world.start().context, 'room').count()))
      }
      expect(counts.slice(1)).toEqual([0, 0])
      await world.close()
    }), { numRuns: RUNS })
  })
})

describe('an outage of the store', () => {
  const first = fc.constantFrom('count', 'members', 'watch', 'join', 'nothing')

  // @guarantee presence
  it('ends no member of a process that is there, however long it is, and whichever process comes first after it', async () => {
    const outage = fc.oneof(
      fc.record({ leases: fc.double({ min: 0.5, max: 5, noNaN: true }), first, afterMs: fc.integer({ min: 0, max: 50 }), quiet: fc.double({ min: 0, max: 2, noNaN: true }) }),
      // So short that it shows only if nothing else went wrong lately.
      fc.record({ leases: fc.double({ min: 0.1, max: 0.5, noNaN: true }), first, afterMs: fc.integer({ min: 0, max: 50 }), quiet: fc.double({ min: 0.5, max: 2, noNaN: true }) }),
    )
    await fc.assert(fc.asyncProperty(options, fc.array(outage, { minLength: 1, maxLength: 3 }), fc.integer({ min: 0, max: 2 }), async (chosen, outages, watchers) => {
      const world = new World(chosen)
      const holders = Array.from({ length: 2 }, () => world.start())
      for (const [index, { context }] of holders.entries()) await world.until(new Presence(context, 'room', { id: `m${index}` }).enter())
      for (let index = 0; index < watchers; index++) new Presence(world.start().context, 'room').watch()
      let joined = 0
      for (const { leases, first, afterMs, quiet } of outages) {
        await world.pass(quiet * chosen.leaseMs)
        const cut = [...world.all]
        for (const { driver } of cut) driver.fail('all')
        await world.pass(leases * chosen.leaseMs)
        // A process that has not seen the outage comes first.
        const { context } = world.start()
        const answers: Promise<unknown>[] = []
        if (first === 'watch') new Presence(context, 'room').watch()
        else if (first === 'join') answers.push(new Presence(context, 'room', { id: `late-${++joined}` }).enter())
        else if (first !== 'nothing') answers.push(new Presence(context, 'room')[first]())
        await world.pass(afterMs / 1_000 * chosen.leaseMs)
        for (const { driver } of cut) driver.heal()
        for (const answer of await world.until(Promise.all(answers))) if (typeof answer !== 'function') expect(Array.isArray(answer) ? answer.length : answer).toBe(2 + joined)
      }
      await world.pass(3 * chosen.leaseMs)
      expect(await world.left()).toEqual([])
      expect(await world.until(new Presence(world.start().context, 'room').count())).toBe(2 + joined)
      await world.close()
    }), { numRuns: RUNS })
  })

  // @guarantee presence
  it('does not keep those of a process that was killed meanwhile', async () => {
    await fc.assert(fc.asyncProperty(options, fc.double({ min: 0.1, max: 5, noNaN: true }), first, async (chosen, leases, first) => {
      const world = new World(chosen)
      const [killed, other] = [world.start(), world.start()]
      await world.until(new Presence(killed.context, 'room', { id: 'ann' }).enter())
      await world.until(new Presence(other.context, 'room', { id: 'ben' }).enter())
      for (const { driver } of [killed, other]) driver.fail('all')
      await world.pass(leases * chosen.leaseMs)
      const { context } = world.start()
      if (first === 'watch') new Presence(context, 'room').watch()
      else if (first === 'count' || first === 'members') void new Presence(context, 'room')[first]()
      other.driver.heal()
      await world.pass(2 * chosen.leaseMs + LATE_MS)
      expect(await world.left()).toEqual(['ann'])
      await world.close()
    }), { numRuns: RUNS })
  })
})
