import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import { hasLeases, readState } from '../../src/runtime/server/drivers/capabilities'
import type { LeasingDriver } from '../../src/runtime/server/drivers/capabilities'
import type { LogDriver, LogEntry, LogNotice } from '../../src/runtime/server/drivers/types'
import { eventually } from '../support/conditions'
import { describeLookingBack } from './looking-back-suite'
import { describeRetention } from './retention-suite'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const ALL = { messages: 100_000, bytes: 100_000_000 }
const message = (data: unknown, key?: string, event?: string) => ({ data: JSON.stringify(data), key, event })
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

let names = 0

export interface DriverUnderTest {
  driver: LogDriver
  /** Releases the test's own resources, after `driver.close()`. */
  dispose?(): Promise<void>
}

/**
 * Contract of every driver, independent of its implementation. Calls `create` for each test. Two drivers may share a store:
 * every test uses channels of its own.
 */
export function describeDriver(name: string, create: () => DriverUnderTest | Promise<DriverUnderTest>): void {
  describe(`the ${name} driver`, () => {
    let under: DriverUnderTest
    let driver: LeasingDriver
    let channel: string
    beforeEach(async () => {
      under = await create()
      // Tests of leases are skipped for a driver without leases.
      driver = under.driver as LeasingDriver
      channel = `channel ${process.pid} ${++names}`
    })
    afterEach(async () => {
      await driver.close()
      await under.dispose?.()
    })

    const all = async (after = 0) => driver.read(channel, after, ALL)
    const offsets = (entries: LogEntry[]) => entries.map(({ offset }) => offset)
    const dataOf = (entries: LogEntry[]) => entries.map(({ data }) => JSON.parse(unpackData(data)))

    it('has a name', () => {
      expect(driver.name).toBe(name)
    })

    describe('append', () => {
      it('gives offsets 1, 2, 3, … and keeps the data byte for byte', async () => {
        const nasty = ['', 0, false, null, '\r\n\0\uFEFF\u2028 😀', { a: ['é'] }, 'é😀'.repeat(5_000)]
        const first = await driver.append(channel, [message(nasty[0])], RETENTION)
        const rest = await driver.append(channel, nasty.slice(1).map(data => message(data, undefined, ' näme:')), RETENTION)
        expect(first.offsets).toEqual([1])
        expect(rest).toEqual({ epoch: first.epoch, offsets: [2, 3, 4, 5, 6, 7] })
        const page = await all()
        expect(page).toMatchObject({ epoch: first.epoch, first: 1, last: 7, closing: null })
        expect(page.entries.map(({ data }) => unpackData(data))).toEqual(nasty.map(data => JSON.stringify(data)))
        expect(page.entries.map(({ event }) => event)).toEqual([undefined, ...range(2, 7).map(() => ' näme:')])
      })

      // @guarantee publish-order
      it('leaves no holes and repeats nothing under concurrent appends, and batches stay adjacent', async () => {
        const results = await Promise.all(range(1, 200).map(i => driver.append(channel, range(1, 1 + i % 4).map(j => message([i, j])), RETENTION)))
        const { entries, last } = await all()
        expect(last).toBe(results.reduce((sum, result) => sum + result.offsets.length, 0))
        expect(offsets(entries)).toEqual(range(1, last))
        results.forEach((result, index) => {
          expect(result.offsets).toEqual(range(result.offsets[0]!, result.offsets[0]! + result.offsets.length - 1))
          expect(result.offsets.map(offset => JSON.parse(unpackData(entries[offset - 1]!.data)))).toEqual(range(1, result.offsets.length).map(j => [index + 1, j]))
        })
      })

      it('keeps the order of one caller\'s appends', async () => {
        const results = await Promise.all(range(1, 100).map(i => driver.append(channel, [message(i)], RETENTION)))
        expect(results.map(result => result.offsets[0])).toEqual(range(1, 100))
        expect(dataOf((await all()).entries)).toEqual(range(1, 100))
      })

      it('returns the offset of a key that it still keeps, also within one batch', async () => {
        const { offsets: first } = await driver.append(channel, [message('a', 'A'), message('b', 'B'), message('again', 'A')], RETENTION)
        expect(first).toEqual([1, 2, 1])
        expect((await driver.append(channel, [message('other', 'B'), message('c', 'C')], RETENTION)).offsets).toEqual([2, 3])
        const many = await Promise.all(range(1, 20).map(() => driver.append(channel, [message('d', 'D')], RETENTION)))
        expect(new Set(many.map(result => result.offsets[0]))).toEqual(new Set([4]))
        expect(dataOf((await all()).entries)).toEqual(['a', 'b', 'c', 'd'])
      })

      it('forgets a key with its message', async () => {
        const retention = { ...RETENTION, maxMessages: 2 }
        for (const key of ['A', 'B', 'C']) await driver.append(channel, [message(key, key)], retention)
        expect((await driver.append(channel, [message('A', 'A')], retention)).offsets).toEqual([4])
        expect((await driver.append(channel, [message('A', 'A')], retention)).offsets).toEqual([4])
      })

      it('keeps channels apart', async () => {
        await driver.append(channel, [message(1, 'key')], RETENTION)
        expect((await driver.append(`${channel} other`, [message(2, 'key')], RETENTION)).offsets).toEqual([1])
        await driver.finish(channel, {}, RETENTION)
        expect((await readState(driver, `${channel} other`)).closing).toBeNull()
      })

      it('takes a name of 512 bytes of any text', async () => {
        const odd = `${channel} é😀 {x} * ? [a] \u0001`
        channel = odd + 'x'.repeat(512 - Buffer.byteLength(odd))
        await driver.append(channel, [message(1)], RETENTION)
        expect((await all()).last).toBe(1)
      })
    })

    describe('retention', () => {
      it('by count: removes the oldest, and moves `first`', async () => {
        const retention = { ...RETENTION, maxMessages: 3 }
        for (const i of range(1, 10)) await driver.append(channel, [message(i)], retention)
        const page = await all()
        expect(page).toMatchObject({ first: 8, last: 10 })
        expect(offsets(page.entries)).toEqual([8, 9, 10])
        expect(dataOf(page.entries)).toEqual([8, 9, 10])
      })

      it('by count: takes a batch larger than the limit', async () => {
        const result = await driver.append(channel, range(1, 10).map(i => message(i)), { ...RETENTION, maxMessages: 3 })
        expect(result.offsets).toEqual(range(1, 10))
        expect(await all()).toMatchObject({ first: 8, last: 10, entries: [{ offset: 8 }, { offset: 9 }, { offset: 10 }] })
      })

      it('by age: removes older messages, and continues to count', async () => {
        const retention = { ...RETENTION, maxAgeMs: 300 }
        const { epoch } = await driver.append(channel, [message(1), message(2)], retention)
        expect(offsets((await all()).entries)).toEqual([1, 2])
        await eventually(async () => expect(await all()).toMatchObject({ epoch, first: 3, last: 2, entries: [] }))
        expect((await driver.append(channel, [message(3)], retention)).offsets).toEqual([3])
        expect(await all()).toMatchObject({ epoch, first: 3, last: 3 })
      })
    })

    describe('finish', () => {
      it('ends a log: it takes no more messages, and stays readable', async () => {
        await driver.append(channel, [message(1)], RETENTION)
        expect(await driver.finish(channel, {}, RETENTION)).toBe(true)
        await expect(driver.append(channel, [message(2), message(3)], RETENTION)).rejects.toMatchObject({ name: 'SSEError', code: 'CHANNEL_ENDED' })
        expect(await all()).toMatchObject({ last: 1, closing: {}, entries: [{ offset: 1 }] })
      })

      it('the first ending stands', async () => {
        const error = { code: 'NO', statusCode: 500, message: 'No.', retry: false }
        const answers = await Promise.all([driver.finish(channel, { error }, RETENTION), ...range(1, 5).map(() => driver.finish(channel, {}, RETENTION))])
        expect(answers).toEqual([true, false, false, false, false, false])
        expect((await readState(driver, channel)).closing).toEqual({ error })
        expect((await all()).closing).toEqual({ error })
      })

      it('ends an empty log', async () => {
        expect(await driver.finish(channel, {}, RETENTION)).toBe(true)
        expect(await readState(driver, channel)).toMatchObject({ first: 1, last: 0, closing: {} })
      })
    })

    describe('state and epoch', () => {
      it('begins a log with the first request, and keeps its epoch', async () => {
        const { epoch, ...state } = await readState(driver, channel)
        expect(state).toMatchObject({ first: 1, last: 0, closing: null })
        expect(epoch).toMatch(/^(?=.*[a-z])[a-z0-9]{1,64}$/i)
        expect((await all()).epoch).toBe(epoch)
        expect((await driver.append(channel, [message(1)], RETENTION)).epoch).toBe(epoch)
        expect(await readState(driver, channel)).toMatchObject({ epoch, first: 1, last: 1, closing: null })
      })

      it('gives the same epoch to all simultaneous first requests', async () => {
        const epochs = await Promise.all([...range(1, 20).map(() => readState(driver, channel)), ...range(1, 20).map(() => driver.append(channel, [message(1)], RETENTION))])
        expect(new Set(epochs.map(({ epoch }) => epoch)).size).toBe(1)
      })

      it('begins another epoch with remove: open, at offset 1, without keys', async () => {
        const before = await driver.append(channel, [message(1, 'key'), message(2)], RETENTION)
        await driver.finish(channel, {}, RETENTION)
        await driver.remove(channel)
        const after = await driver.append(channel, [message(3, 'key')], RETENTION)
        expect(after.offsets).toEqual([1])
        expect(after.epoch).not.toBe(before.epoch)
        expect(await all()).toMatchObject({ epoch: after.epoch, first: 1, last: 1, closing: null })
        await driver.remove(`${channel} that never was`)
      })
    })

    describe('read', () => {
      it('pages without holes, whatever the limits', async () => {
        await driver.append(channel, range(1, 50).map(i => message('x'.repeat(i))), RETENTION)
        for (const limit of [{ messages: 7, bytes: 1e9 }, { messages: 1e9, bytes: 100 }, { messages: 3, bytes: 1 }]) {
          const seen: number[] = []
          for (let after = 0; after < 50;) {
            const { entries, last } = await driver.read(channel, after, limit)
            expect(last).toBe(50)
            expect(entries.length).toBeGreaterThan(0)
            expect(entries.length).toBeLessThanOrEqual(limit.messages)
            const bytes = entries.map(({ data }) => data.length)
            // Stops after the message that reaches the limit.
            expect(bytes.slice(0, -1).reduce((sum, size) => sum + size, 0)).toBeLessThan(limit.bytes)
            if (entries.length < limit.messages && entries.at(-1)!.offset < 50) expect(bytes.reduce((sum, size) => sum + size, 0)).toBeGreaterThanOrEqual(limit.bytes)
            seen.push(...offsets(entries))
            after = entries.at(-1)!.offset
          }
          expect(seen).toEqual(range(1, 50))
        }
      })

      it('puts each message in its place on a page, up to its limits, whatever is appended together and dropped', async () => {
        const item = fc.record({ length: fc.oneof(fc.nat(60), fc.constantFrom(900, 2_100, 5_000)), event: fc.option(fc.constant('d3'), { freq: 6, nil: undefined }) })
        const batch = fc.record({ items: fc.array(item, { minLength: 1, maxLength: 12 }), maxMessages: fc.integer({ min: 1, max: 50 }) })
        const read = fc.record({ after: fc.nat(90), messages: fc.integer({ min: 1, max: 30 }), bytes: fc.integer({ min: 1, max: 30_000 }) })
        let runs = 0
        await fc.assert(fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 10 }), fc.array(read, { minLength: 1, maxLength: 6 }), async (batches, reads) => {
          const name = `${channel} ${++runs}`
          const truth: { offset: number, event?: string, data: string }[] = []
          let first = 1
          for (const { items, maxMessages } of batches) {
            const entries = items.map(({ length, event }, index) => message(`${truth.length + index} ${'x'.repeat(length)}`, undefined, event))
            const { offsets } = await driver.append(name, entries, { ...RETENTION, maxMessages })
            truth.push(...entries.map(({ data, event }, index) => ({ offset: offsets[index]!, event, data })))
            first = Math.max(first, truth.length - maxMessages + 1)
          }
          expect(truth.map(({ offset }) => offset)).toEqual(range(1, truth.length))
          for (const { after, ...limit } of reads) {
            const expected: typeof truth = []
            let bytes = 0
            for (const entry of truth.slice(Math.max(after, first - 1))) {
              if (expected.length === limit.messages || bytes >= limit.bytes) break
              expected.push(entry)
              bytes += entry.data.length
            }
            const page = await driver.read(name, after, limit)
            expect(page).toMatchObject({ first, last: truth.length })
            expect(page.entries.map(({ offset, event, data }) => ({ offset, event, data: unpackData(data) }))).toEqual(expected)
          }
        }), { numRuns: 60 })
      })

      it('begins with the oldest kept message for an earlier position, and returns nothing for one after the end', async () => {
        await driver.append(channel, range(1, 10).map(i => message(i)), { ...RETENTION, maxMessages: 4 })
        expect(offsets((await driver.read(channel, 0, ALL)).entries)).toEqual([7, 8, 9, 10])
        expect(offsets((await driver.read(channel, 8, ALL)).entries)).toEqual([9, 10])
        expect(offsets((await driver.read(channel, 10, ALL)).entries)).toEqual([])
        expect(offsets((await driver.read(channel, 1_000_000, ALL)).entries)).toEqual([])
      })

      it('returns the state for a page of no messages, from any position, and begins a log like any other read', async () => {
        const none = async (after: number, limit = { messages: 0, bytes: 0 }) => driver.read(channel, after, limit)
        const { epoch, ...empty } = await none(0)
        expect(empty).toMatchObject({ first: 1, last: 0, closing: null, entries: [] })
        await driver.append(channel, range(1, 10).map(i => message('x'.repeat(1_000 * i))), { ...RETENTION, maxMessages: 4 })
        for (const after of [0, 8, 10, 1_000_000]) {
          for (const limit of [{ messages: 0, bytes: 0 }, { messages: 0, bytes: 1 }, { messages: 0, bytes: 1e9 }]) {
            const { entries, ...state } = await driver.read(channel, after, ALL)
            expect(await none(after, limit)).toEqual({ ...state, entries: [] })
            expect(entries.at(-1)?.offset ?? after).toBe(Math.max(10, after))
          }
        }
        await driver.finish(channel, {}, RETENTION)
        expect(await none(0)).toMatchObject({ epoch, first: 7, last: 10, closing: {}, entries: [] })
      })

      // @guarantee long-replay
      it('reads 5,000 messages without cutting any', async () => {
        const retention = { ...RETENTION, maxMessages: 5_000 }
        for (let i = 0; i < 50; i++) await driver.append(channel, range(i * 100 + 1, i * 100 + 100).map(n => message(n)), retention)
        expect(dataOf((await all()).entries)).toEqual(range(1, 5_000))
      })

      it('does not change a returned page later', async () => {
        await driver.append(channel, [message(1), message(2)], RETENTION)
        const page = await all()
        const copy = structuredClone(page)
        await driver.append(channel, [message(3)], { ...RETENTION, maxMessages: 1 })
        await driver.finish(channel, {}, RETENTION)
        expect(page).toEqual(copy)
      })
    })

    describe('subscribe', () => {
      /** Messages that a subscriber knows from notices alone, and those that remain to be read. */
      async function subscribed(): Promise<{ notices: LogNotice[], seen: () => Promise<unknown[]>, off: () => void }> {
        const notices: LogNotice[] = []
        const off = await driver.subscribe(channel, notice => void notices.push(notice))
        return {
          notices,
          off,
          async seen() {
            // `changed` stands for any change: the subscriber has to read the log.
            if (notices.some(({ type }) => type === 'changed')) return dataOf((await all()).entries)
            const entries = new Map(notices.flatMap(notice => notice.type === 'append' ? notice.entries : []).map(entry => [entry.offset, entry]))
            return dataOf([...entries.values()].sort((a, b) => a.offset - b.offset))
          },
        }
      }

      // @guarantee read-then-subscribe
      it('every append after the acknowledgement gives a notice', async () => {
        const subscription = await subscribed()
        await Promise.all(range(1, 50).map(i => driver.append(channel, [message(i)], RETENTION)))
        await eventually(async () => expect(await subscription.seen()).toEqual(range(1, 50)))
        subscription.off()
      })

      it('notices name the epoch and hold adjacent messages', async () => {
        const subscription = await subscribed()
        const { epoch } = await driver.append(channel, range(1, 5).map(i => message(i, undefined, 'named')), RETENTION)
        await eventually(() => expect(subscription.notices.length).toBeGreaterThan(0))
        for (const notice of subscription.notices) {
          if (notice.type === 'changed') continue
          expect(notice.epoch).toBe(epoch)
          expect(offsets(notice.entries)).toEqual(range(notice.entries[0]!.offset, notice.entries.at(-1)!.offset))
          expect(notice.entries.every(({ event }) => event === 'named')).toBe(true)
        }
        subscription.off()
      })

      it('endings and removals give a notice', async () => {
        const subscription = await subscribed()
        await driver.finish(channel, {}, RETENTION)
        await eventually(() => expect(subscription.notices.map(({ type }) => type)).toContain('changed'))
        subscription.notices.length = 0
        await driver.remove(channel)
        await eventually(() => expect(subscription.notices.map(({ type }) => type)).toContain('changed'))
        subscription.off()
      })

      it('a repeated message with a known key gives no second one', async () => {
        await driver.append(channel, [message(1, 'key')], RETENTION)
        const subscription = await subscribed()
        await driver.append(channel, [message(1, 'key')], RETENTION)
        await driver.append(channel, [message(2)], RETENTION)
        await eventually(async () => expect(await subscription.seen()).toContain(2))
        expect(subscription.notices.flatMap(notice => notice.type === 'append' ? offsets(notice.entries) : []).filter(offset => offset !== 2)).toEqual([])
        subscription.off()
      })

      // @guarantee one-subscription
      it('the end of one subscription takes nothing from the others, and a second end does nothing', async () => {
        const staying = await subscribed()
        const leaving = await subscribed()
        leaving.off()
        leaving.off()
        const newcomer = await subscribed()
        leaving.off()
        await driver.append(channel, [message(1)], RETENTION)
        await eventually(async () => expect([await staying.seen(), await newcomer.seen()]).toEqual([[1], [1]]))
        expect(leaving.notices).toEqual([])
        staying.off()
        newcomer.off()
        await driver.append(channel, [message(2)], RETENTION)
        const again = await subscribed()
        await driver.append(channel, [message(3)], RETENTION)
        await eventually(() => expect(again.notices.length).toBeGreaterThan(0))
        expect(staying.notices.flatMap(notice => notice.type === 'append' ? offsets(notice.entries) : [])).not.toContain(2)
        again.off()
      })

      it('gives no notices of other channels', async () => {
        const subscription = await subscribed()
        await driver.append(`${channel} other`, [message('other')], RETENTION)
        await driver.append(channel, [message(1)], RETENTION)
        await eventually(async () => expect(await subscription.seen()).toEqual([1]))
        subscription.off()
      })
    })

    it('gives logs that begin in one tick different epochs, so that no position fits two of them', async () => {
      const begun = await Promise.all(Array.from({ length: 10 }, (_, index) => driver.append(`${channel} ${index}`, [message(1)], RETENTION)))
      expect(new Set(begun.map(({ epoch }) => epoch)).size).toBe(10)
    })

    describe('lease', () => {
      const LEASE_MS = 60_000
      const SHORT_MS = 400
      const acquire = (token: string, more: object = {}) => driver.lease(channel, { type: 'acquire', token, leaseMs: LEASE_MS, onLost: 'fail', ...more }, RETENTION)
      const renew = (token: string, leaseMs = LEASE_MS) => driver.lease(channel, { type: 'renew', token, leaseMs, onLost: 'fail' }, RETENTION)
      const look = (reading = false) => driver.lease(channel, { type: 'look', reading }, RETENTION)
      const append = (id: string, number: number, ...data: unknown[]) => driver.append(channel, data.map(item => message(item)), RETENTION, { id, number, leased: true })
      const lost = { name: 'SSEError', code: 'LEASE_LOST' }
      beforeEach(({ skip }) => skip(!hasLeases(driver), 'This driver has no leases.'))

      it('goes to one of a hundred simultaneous requests, and only that holder appends', async () => {
        const answers = await Promise.all(range(1, 100).map(i => acquire(`t${i}`)))
        const holders = answers.flatMap(({ held }, index) => held ? [`t${index + 1}`] : [])
        expect(holders).toHaveLength(1)
        expect(new Set(answers.map(({ state }) => state!.epoch)).size).toBe(1)
        expect((await append(holders[0]!, 1, 'a', 'b')).offsets).toEqual([1, 2])
        await expect(append(holders[0] === 't1' ? 't2' : 't1', 1, 'c')).rejects.toMatchObject(lost)
        // A publish without a lease needs none.
        expect((await driver.append(channel, [message('d')], RETENTION)).offsets).toEqual([3])
        expect((await acquire(holders[0]!)).held).toBe(true)
      })

      it('reports its remaining time, and a renewal starts it again', async () => {
        const { state } = await acquire('a', { leaseMs: 1_000 })
        expect(state!.lease).toMatchObject({ stopping: false, leftMs: expect.toSatisfy(ms => ms > 500 && ms <= 1_000), lostInMs: expect.toSatisfy(ms => ms > 500 && ms <= 1_000) })
        expect((await readState(driver, channel)).lease!.leftMs).toBeGreaterThan(0)
        expect((await all()).lease!.leftMs).toBeGreaterThan(0)
        expect((await renew('a', 60_000)).state!.lease!.leftMs).toBeGreaterThan(50_000)
        expect(await renew('b')).toMatchObject({ held: false })
      })

      it('fails the log for all callers once it is over, without a write', async () => {
        await acquire('a', { leaseMs: SHORT_MS })
        await append('a', 1, 'x')
        await eventually(async () => expect(await readState(driver, channel)).toMatchObject({ last: 1, closing: { error: { code: 'PRODUCER_LOST', retry: false } } }))
        expect((await all()).closing).toMatchObject({ error: { code: 'PRODUCER_LOST' } })
        await expect(append('a', 2, 'y')).rejects.toMatchObject(lost)
        await expect(driver.finish(channel, {}, RETENTION, 'a')).rejects.toMatchObject(lost)
        await expect(driver.append(channel, [message(1)], RETENTION)).rejects.toMatchObject({ code: 'CHANNEL_ENDED' })
        expect(await driver.finish(channel, {}, RETENTION)).toBe(false)
        expect((await renew('a')).held).toBe(false)
        expect((await acquire('b')).held).toBe(false)
      })

      it('passes to the next request once it is over and may be restarted: the new holder continues the log, and the old one is refused', async () => {
        const { state } = await acquire('a', { leaseMs: SHORT_MS, onLost: 'restart' })
        await append('a', 1, 'x')
        expect((await acquire('b')).held).toBe(false)
        await eventually(async () => expect((await acquire('b', { onLost: 'restart' })).held).toBe(true))
        expect(await readState(driver, channel)).toMatchObject({ epoch: state!.epoch, last: 1, closing: null, lease: { stopping: false } })
        await expect(append('a', 2, 'late')).rejects.toMatchObject(lost)
        await expect(driver.finish(channel, {}, RETENTION, 'a')).rejects.toMatchObject(lost)
        expect((await append('b', 1, 'y')).offsets).toEqual([2])
      })

      it('fails the log if it may be restarted and remains free for as long again, and can still be taken', async () => {
        await acquire('a', { leaseMs: SHORT_MS, onLost: 'restart' })
        await eventually(async () => expect((await look()).state!.lease!.leftMs).toBeLessThanOrEqual(0))
        await eventually(async () => expect((await look()).state!.closing).toMatchObject({ error: { code: 'PRODUCER_LOST', retry: true } }))
        expect((await acquire('b', { onLost: 'restart' })).held).toBe(true)
        expect((await look()).state!.closing).toBeNull()
      })

      describe('requested tentatively', () => {
        it.each(['fail', 'restart'] as const)('counts as never taken when it runs out unused (%s)', async (onLost) => {
          expect((await acquire('a', { leaseMs: SHORT_MS, onLost, tentative: true })).held).toBe(true)
          expect((await look()).state!.lease).toMatchObject({ tentative: true })
          expect((await acquire('b', { onLost, tentative: true })).held).toBe(false)
          await eventually(async () => expect(await readState(driver, channel)).toSatisfy(({ lease, closing }) => lease === undefined && closing === null))
          expect((await all()).closing).toBeNull()
          await expect(append('a', 1, 'late')).rejects.toMatchObject(lost)
          expect((await acquire('b', { onLost, tentative: true })).held).toBe(true)
          expect((await append('b', 1, 'x')).offsets).toEqual([1])
        })

        it('can be requested again with the same token by its present or former holder', async () => {
          expect((await acquire('a', { leaseMs: SHORT_MS, tentative: true })).held).toBe(true)
          expect((await acquire('a', { leaseMs: SHORT_MS, tentative: true })).held).toBe(true)
          await eventually(async () => expect((await readState(driver, channel)).lease).toBeUndefined())
          expect((await acquire('a', { tentative: true })).held).toBe(true)
        })

        it('leaves the log untouched when it is released unused', async () => {
          await acquire('a', { tentative: true })
          await driver.lease(channel, { type: 'release', token: 'a' }, RETENTION)
          await eventually(async () => expect(await readState(driver, channel)).toSatisfy(({ lease, closing }) => lease === undefined && closing === null))
          expect((await acquire('b')).held).toBe(true)
        })

        it.each([['renewed', () => renew('a', SHORT_MS)], ['used to append', () => append('a', 1, 'x')]] as const)('becomes an ordinary lease once it was %s', async (_, use) => {
          await acquire('a', { leaseMs: SHORT_MS, tentative: true })
          await use()
          expect((await look()).state!.lease?.tentative).toBeUndefined()
          await eventually(async () => expect((await readState(driver, channel)).closing).toMatchObject({ error: { code: 'PRODUCER_LOST', retry: false } }))
          expect((await acquire('b', { tentative: true })).held).toBe(false)
        })
      })

      it('can be taken at once after its release', async () => {
        await acquire('a', { onLost: 'restart' })
        await driver.lease(channel, { type: 'release', token: 'b' }, RETENTION)
        expect((await acquire('b')).held).toBe(false)
        await driver.lease(channel, { type: 'release', token: 'a' }, RETENTION)
        expect((await acquire('b')).held).toBe(true)
        await expect(append('a', 1, 'x')).rejects.toMatchObject(lost)
      })

      it('ends with the log, whose producer then does not count as lost', async () => {
        await acquire('a', { leaseMs: SHORT_MS })
        expect(await driver.finish(channel, {}, RETENTION, 'a')).toBe(true)
        expect(await driver.finish(channel, {}, RETENTION, 'a')).toBe(false)
        // An equally long lease that was taken later is over by the driver's clock, so this one would be, too.
        const later = `${channel} later`
        await driver.lease(later, { type: 'acquire', token: 'a', leaseMs: SHORT_MS, onLost: 'fail' }, RETENTION)
        await eventually(async () => expect((await readState(driver, later)).closing).toMatchObject({ error: { code: 'PRODUCER_LOST' } }))
        expect(await readState(driver, channel)).toMatchObject({ closing: {} })
        expect((await readState(driver, channel)).closing).not.toHaveProperty('error')
        expect((await readState(driver, channel)).lease).toBeUndefined()
        expect((await renew('a')).held).toBe(false)
        await expect(append('a', 1, 'x')).rejects.toMatchObject({ code: 'CHANNEL_ENDED' })
      })

      it('is granted on an ended log only for a restart, which begins another epoch', async () => {
        const { epoch } = await driver.append(channel, [message(1)], RETENTION)
        await driver.finish(channel, {}, RETENTION)
        expect(await acquire('a')).toMatchObject({ held: false, state: { epoch, closing: {} } })
        const answers = await Promise.all(['b', 'c', 'd'].map(token => acquire(token, { anew: true })))
        expect(answers.filter(({ held }) => held)).toHaveLength(1)
        expect(answers[0]!.state).toMatchObject({ first: 1, last: 0, closing: null })
        expect(answers[0]!.state!.epoch).not.toBe(epoch)
        // A log that has not ended cannot be restarted.
        expect((await acquire('e', { anew: true })).held).toBe(false)
      })

      it('names the epoch of a log that begins with it', async () => {
        expect((await acquire('a', { epoch: 'chosen1' })).state!.epoch).toBe('chosen1')
        expect((await acquire('b', { epoch: 'other1' })).state!.epoch).toBe('chosen1')
      })

      it('is taken from its holder when the log is removed', async () => {
        const { state } = await acquire('a')
        await driver.remove(channel)
        expect((await renew('a')).held).toBe(false)
        await expect(append('a', 1, 'x')).rejects.toMatchObject(lost)
        const after = await readState(driver, channel)
        expect(after).toMatchObject({ last: 0, closing: null })
        expect(after.epoch).not.toBe(state!.epoch)
        expect((await acquire('b')).held).toBe(true)
      })

      it('makes its holder stop, once, and cannot be restarted then', async () => {
        const notices: LogNotice[] = []
        await acquire('a', { onLost: 'restart' })
        const off = await driver.subscribe(channel, notice => void notices.push(notice))
        const { state } = await driver.lease(channel, { type: 'stop' }, RETENTION)
        expect(state!.lease!.stopping).toBe(true)
        await eventually(() => expect(notices).toContainEqual({ type: 'changed' }))
        expect(await renew('a', SHORT_MS)).toMatchObject({ held: true, state: { lease: { stopping: true } } })
        await eventually(async () => expect((await look()).state!.closing).toMatchObject({ error: { code: 'PRODUCER_LOST', retry: false } }))
        expect((await acquire('b', { onLost: 'restart' })).held).toBe(false)
        off()
      })

      it('reports the time since the last read', async () => {
        await acquire('a')
        await eventually(async () => expect((await look()).state!.lease!.unreadMs).toBeGreaterThan(40))
        expect((await look(true)).state!.lease!.unreadMs).toBeLessThan(40)
        await eventually(async () => expect((await renew('a')).state!.lease!.unreadMs).toBeGreaterThan(40))
      })

      it('begins no log by a look, a stop or a release', async () => {
        expect(await look(true)).toEqual({ held: false, state: undefined })
        expect(await driver.lease(channel, { type: 'stop' }, RETENTION)).toEqual({ held: false, state: undefined })
        expect(await driver.lease(channel, { type: 'release', token: 'a' }, RETENTION)).toEqual({ held: false, state: undefined })
      })

      it('outlives the retention of what it fills', async () => {
        const short = { ...RETENTION, maxMessages: 10, maxAgeMs: 50 }
        const { state } = await driver.lease(channel, { type: 'acquire', token: 'a', leaseMs: LEASE_MS, onLost: 'fail' }, short)
        await driver.append(channel, [message(1)], short, { id: 'a', number: 1, leased: true })
        // Messages with three times the retention have expired, too.
        const later = `${channel} later`
        await driver.append(later, [message(1)], { ...short, maxAgeMs: 3 * short.maxAgeMs })
        await eventually(async () => expect((await driver.read(later, 0, ALL)).entries).toEqual([]))
        expect(await driver.lease(channel, { type: 'renew', token: 'a', leaseMs: LEASE_MS, onLost: 'fail' }, short)).toMatchObject({ held: true, state: { epoch: state!.epoch } })
        expect((await driver.append(channel, [message(2)], short, { id: 'a', number: 2, leased: true })).offsets).toEqual([2])
      })
    })

    it('takes a second close, and ends its subscriptions', async () => {
      const notices: LogNotice[] = []
      const off = await driver.subscribe(channel, notice => void notices.push(notice))
      await driver.close()
      await driver.close()
      off()
      expect(notices).toEqual([])
    })

    describeLookingBack(() => ({ driver, channel }))
  })

  describeRetention(name, create)
}
