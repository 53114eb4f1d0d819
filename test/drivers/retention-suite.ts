import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import { hasLeases, readState } from '../../src/runtime/server/drivers/capabilities'
import type { LeasingDriver } from '../../src/runtime/server/drivers/capabilities'
import type { LogRetention, SSERetention } from '../../src/runtime/server/options'
import { eventually } from '../support/conditions'
import { retentionModel } from '../support/retention-model'
import type { DriverUnderTest } from './suite'

const DEFAULTS: SSERetention = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const ALL = { messages: 100_000, bytes: 100_000_000 }

/** Retention in the form that a handle gives to the driver. */
const naming = (named: Partial<SSERetention>, defaults = DEFAULTS): LogRetention => ({ ...defaults, ...named, named })

const NO_LEASES = 'This driver has no leases.'

let names = 0

/** Part of the driver's contract: retention. */
export function describeRetention(name: string, create: () => DriverUnderTest | Promise<DriverUnderTest>): void {
  describe(`the ${name} driver: retention belongs to the channel`, () => {
    let under: DriverUnderTest
    let driver: LeasingDriver
    let channel: string
    beforeEach(async () => {
      under = await create()
      // Tests of leases are skipped for a driver without leases.
      driver = under.driver as LeasingDriver
      channel = `retention ${process.pid} ${++names}`
    })
    afterEach(async () => {
      await driver.close()
      await under.dispose?.()
    })

    const append = (retention: LogRetention, ...data: unknown[]) => driver.append(channel, data.map(item => ({ data: JSON.stringify(item) })), retention)
    const kept = async () => (await driver.read(channel, 0, ALL)).entries.map(({ data }) => JSON.parse(unpackData(data)))

    it('a writer without named limits does not narrow those of another writer', async () => {
      await append(naming({ maxMessages: 5 }), 1, 2, 3)
      await append({ ...DEFAULTS, maxMessages: 2 }, 4, 5)
      expect(await kept()).toEqual([1, 2, 3, 4, 5])
      await append({ ...DEFAULTS, maxMessages: 2 }, 6)
      expect(await kept()).toEqual([2, 3, 4, 5, 6])
    })

    it('a writer without named limits follows its own defaults when no writer has named any', async () => {
      await append({ ...DEFAULTS, maxMessages: 4 }, 1, 2, 3, 4)
      await append({ ...DEFAULTS, maxMessages: 2 }, 5)
      expect(await kept()).toEqual([4, 5])
      await append({ ...DEFAULTS, maxMessages: 3 }, 6)
      expect(await kept()).toEqual([4, 5, 6])
    })

    it('a named field stays when another is named', async () => {
      await append(naming({ maxMessages: 3 }), 1, 2, 3)
      await append(naming({ maxBytes: 2 }), 4)
      expect(await kept()).toEqual([3, 4])
      await append(naming({ maxBytes: 100 }), 5, 6, 7)
      expect(await kept()).toEqual([5, 6, 7])
    })

    it('keeps the newest message, whatever its size', async () => {
      for (const data of ['one', 'é'.repeat(5_000), 'x'.repeat(20_000)]) {
        await append(naming({ maxBytes: 10 }), data)
        expect(await kept()).toEqual([data])
      }
    })

    it('counts data as UTF-8', async () => {
      // Each has 8 bytes and 5 characters with its quotes.
      await append(naming({ maxBytes: 24 }), 'ééé', '€€', '😀é', 'éé€'.slice(0, 2) + 'é')
      expect(await kept()).toEqual(['€€', '😀é', 'ééé'])
    })

    it.for<[string, (retention: LogRetention) => Promise<unknown>]>([
      ['an ending', retention => driver.finish(channel, {}, retention)],
      ['a lease that is taken', retention => driver.lease(channel, { type: 'acquire', token: 't', leaseMs: 10_000, onLost: 'fail' }, retention)],
    ])('is changed by %s, which removes the messages outside it', async ([what, write], { skip }) => {
      skip(what.includes('lease') && !hasLeases(driver), NO_LEASES)
      await append(DEFAULTS, 1, 2, 3, 4)
      await write(naming({ maxMessages: 2 }))
      expect(await kept()).toEqual([3, 4])
    })

    it('is not changed by reads, or by lease requests that do not take the lease', async ({ skip }) => {
      skip(!hasLeases(driver), NO_LEASES)
      const narrow = naming({ maxMessages: 1, maxAgeMs: 1, maxBytes: 1 })
      await driver.lease(channel, { type: 'acquire', token: 't', leaseMs: 10_000, onLost: 'fail' }, DEFAULTS)
      await append(DEFAULTS, 1, 2, 3)
      await driver.lease(channel, { type: 'look' }, narrow)
      await driver.lease(channel, { type: 'look', reading: true }, narrow)
      await driver.lease(channel, { type: 'acquire', token: 'other', leaseMs: 10_000, onLost: 'fail' }, narrow)
      await driver.lease(channel, { type: 'renew', token: 't', leaseMs: 10_000, onLost: 'fail' }, narrow)
      await expect(driver.append(channel, [{ data: '4' }], narrow, { id: 'none', number: 1, leased: true })).rejects.toMatchObject({ code: 'LEASE_LOST' })
      await readState(driver, channel)
      expect(await kept()).toEqual([1, 2, 3])
      await append(DEFAULTS, 4)
      await driver.lease(channel, { type: 'stop' }, narrow)
      await driver.lease(channel, { type: 'release', token: 't' }, narrow)
      expect(await kept()).toEqual([1, 2, 3, 4])
    })

    it('survives the restart of an ended channel by a run, and ends with the deletion of the channel', async ({ skip }) => {
      skip(!hasLeases(driver), NO_LEASES)
      await append(naming({ maxMessages: 2 }), 1)
      await driver.finish(channel, {}, DEFAULTS)
      await driver.lease(channel, { type: 'acquire', token: 't', leaseMs: 10_000, onLost: 'fail', anew: true }, DEFAULTS)
      await append(DEFAULTS, 2, 3, 4)
      expect(await kept()).toEqual([3, 4])
      await driver.remove(channel)
      await append(DEFAULTS, 5, 6, 7)
      expect(await kept()).toEqual([5, 6, 7])
    })

    it('a longer named age keeps messages that were published under a shorter one', async () => {
      await append({ ...DEFAULTS, maxAgeMs: 2_000 }, 1)
      await append(naming({ maxAgeMs: 60_000 }), 2)
      await append({ ...DEFAULTS, maxAgeMs: 1 }, 3)
      await new Promise(resolve => setTimeout(resolve, 20))
      expect(await kept()).toEqual([1, 2, 3])
    })

    it('the epoch outlives the messages: a much later read finds no gap', async () => {
      const short = { ...DEFAULTS, maxAgeMs: 10 }
      const { epoch } = await append(short, 1)
      const since = performance.now()
      await eventually(async () => {
        expect(await kept()).toEqual([])
        expect(performance.now() - since).toBeGreaterThan(100)
      })
      expect(await readState(driver, channel)).toMatchObject({ epoch, first: 2, last: 1, closing: null })
      expect((await append(short, 2)).offsets).toEqual([2])
      await driver.finish(channel, {}, short)
      await eventually(async () => expect(await kept()).toEqual([]))
      await new Promise(resolve => setTimeout(resolve, 50))
      expect(await readState(driver, channel)).toMatchObject({ epoch, first: 3, last: 2, closing: {} })
    })

    it('any sequence of writes keeps the messages that a simple model keeps', async () => {
      const size = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 6_000 }))
      const field = fc.record({ maxMessages: fc.integer({ min: 1, max: 30 }), maxBytes: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 20_000 })) }, { requiredKeys: [] })
      const write = fc.record({
        type: fc.constantFrom('append', 'append', 'append', 'named', hasLeases(driver) ? 'lease' : 'append'),
        sizes: fc.array(size, { minLength: 1, maxLength: 12 }),
        named: fc.option(field, { nil: undefined }),
        narrow: fc.boolean(),
      })
      const step = fc.oneof({ weight: 20, arbitrary: write }, { weight: 1, arbitrary: fc.constant('remove' as const) })
      await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        channel = `retention ${process.pid} ${++names}`
        const model = retentionModel()
        let token = 0
        for (const current of steps) {
          if (current === 'remove') {
            await driver.remove(channel)
            model.remove()
            continue
          }
          const defaults = current.narrow ? { ...DEFAULTS, maxMessages: 10, maxBytes: 8_000 } : DEFAULTS
          const retention = current.named ? naming(current.named, defaults) : defaults
          if (current.type === 'lease') {
            const taken = { type: 'acquire', token: String(++token), leaseMs: 60_000, onLost: 'restart' } as const
            if ((await driver.lease(channel, taken, retention)).held) model.write(retention, [])
            await driver.lease(channel, { type: 'release', token: taken.token }, DEFAULTS)
          }
          else {
            // Half of the characters take two bytes, and the quotes two more.
            const data = current.sizes.map(length => JSON.stringify('é'.repeat(length / 2) + 'x'.repeat(length - Math.floor(length / 2))))
            const event = current.type === 'named' ? 'named' : undefined
            await driver.append(channel, data.map(text => ({ data: text, event })), retention)
            model.write(retention, data)
          }
          const { first, last, entries } = await driver.read(channel, 0, ALL)
          expect(entries.map(({ data }) => unpackData(data))).toEqual(model.kept)
          expect(last - first + 1).toBe(model.kept.length)
        }
      }), { numRuns: 40 * Number(process.env.SSE_RUNS ?? 1) })
    })
  })
}
