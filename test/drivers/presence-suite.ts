import process from 'node:process'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import type { PresenceDriver } from '../../src/runtime/server/drivers/capabilities'
import type { LogNotice } from '../../src/runtime/server/drivers/types'
import { MAX_GRACES } from '../../src/runtime/server/drivers/presence-types'
import type { PresenceRequest } from '../../src/runtime/server/drivers/presence-types'
import { eventually } from '../support/conditions'
import type { DriverUnderTest } from './suite'

const RETENTION = { maxMessages: 10_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const LEASE_MS = 60_000
const RUNS = 40 * Number(process.env.SSE_RUNS ?? 1)
const member = (id: string, data: unknown = id) => ({ id, member: JSON.stringify({ id, data }) })

let names = 0

/** Contract of a driver's presence. */
export function describePresence(name: string, create: () => DriverUnderTest | Promise<DriverUnderTest>): void {
  describe(`the ${name} driver: presence`, () => {
    let under: DriverUnderTest
    let driver: PresenceDriver
    let channel: string
    beforeEach(async () => {
      under = await create()
      driver = under.driver as PresenceDriver
      channel = `presence ${process.pid} ${++names}`
    })
    afterEach(async () => {
      await driver.close()
      await under.dispose?.()
    })

    const step = (request: PresenceRequest) => driver.presence(channel, request, RETENTION)
    const hold = (holder: string, ...hold: NonNullable<PresenceRequest['hold']>) => step({ holder, leaseMs: LEASE_MS, hold })
    const release = (holder: string, ...release: NonNullable<PresenceRequest['release']>) => step({ holder, release })
    const messages = async () => (await driver.read(channel, 0, { messages: 100_000, bytes: 100_000_000 })).entries.map(({ data }) => JSON.parse(unpackData(data)))
    const list = async () => ((await step({ list: true })).members!).map(text => JSON.parse(text)).sort((one, other) => one.id < other.id ? -1 : 1)

    // @guarantee presence
    it('a member joins once, whichever and however many processes hold it, and leaves with the last', async () => {
      await hold('a', member('ann'), member('ben'))
      await hold('a', member('ann'))
      await hold('b', member('ann'))
      await release('a', { id: 'ann', afterMs: 0 })
      await release('a', { id: 'ann', afterMs: 0 })
      expect(await list()).toEqual([{ id: 'ann', data: 'ann' }, { id: 'ben', data: 'ben' }])
      const answer = await release('b', { id: 'ann', afterMs: 0 }, { id: 'nobody', afterMs: 0 })
      expect(answer).toMatchObject({ count: 1, last: 3 })
      expect(await messages()).toEqual([
        { type: 'join', member: { id: 'ann', data: 'ann' } },
        { type: 'join', member: { id: 'ben', data: 'ben' } },
        { type: 'leave', id: 'ann' },
      ])
    })

    it('other data is an update, except from a process that reports its members again', async () => {
      await hold('a', member('ann', 1))
      await hold('b', member('ann', 2))
      await hold('a', { ...member('ann', 1), keep: true })
      expect(await list()).toEqual([{ id: 'ann', data: 2 }])
      await hold('a', { ...member('zoe', 1), keep: true })
      expect(await messages()).toEqual([
        { type: 'join', member: { id: 'ann', data: 1 } },
        { type: 'update', member: { id: 'ann', data: 2 } },
        { type: 'join', member: { id: 'zoe', data: 1 } },
      ])
    })

    it('an ID may be any text', async () => {
      const ids = ['a b', 'ü,"\\/', '{}', '\n', '%s', '-1', '💥', 'e1 e2,e3']
      await hold('a', ...ids.map(id => member(id, { id, nested: ['é', null] })))
      expect((await list()).map(({ id }) => id).sort()).toEqual([...ids].sort())
      await release('a', ...ids.map(id => ({ id, afterMs: 0 })))
      expect((await messages()).slice(ids.length)).toEqual(ids.map(id => ({ type: 'leave', id })))
      expect(await list()).toEqual([])
    })

    it('subscribers receive the changes of one step together, and `last` is their position', async () => {
      const notices: LogNotice[] = []
      const off = await driver.subscribe(channel, notice => notices.push(notice))
      const { epoch, last } = await hold('a', member('ann'), member('ben'))
      await eventually(() => expect(notices).toMatchObject([{ type: 'append', epoch, entries: [{ offset: 1 }, { offset: 2 }] }]))
      expect(last).toBe(2)
      off()
    })

    it('a hold that ends later keeps the member until then, even after the end of the lease, and another process takes it over', async () => {
      await hold('a', member('ann'), member('ben'))
      await step({ holder: 'a', leaseMs: 0, release: [{ id: 'ann', afterMs: 1_000 }, { id: 'ben', afterMs: 1_000 }] })
      const { count, dueMs, last } = await hold('b', member('ann'))
      expect({ count, last }).toEqual({ count: 2, last: 2 })
      expect(dueMs).toBeLessThanOrEqual(1_000)
      await eventually(async () => expect((await step({})).count).toBe(1))
      expect((await messages()).slice(2)).toEqual([{ type: 'leave', id: 'ben' }])
    })

    // @guarantee presence
    it('members of a process whose lease has ended leave once, whichever processes look', async () => {
      await step({ holder: 'a', leaseMs: 1_000, hold: [member('ann'), member('ben'), member('cleo')] })
      await hold('b', member('cleo'))
      await eventually(async () => {
        const answers = await Promise.all(Array.from({ length: 5 }, () => step({})))
        expect(answers.at(-1)!.count).toBe(1)
      })
      expect((await messages()).slice(3).sort((one, other) => one.id < other.id ? -1 : 1)).toEqual([{ type: 'leave', id: 'ann' }, { type: 'leave', id: 'ben' }])
      // Its next step finds out.
      expect((await step({ holder: 'a', leaseMs: LEASE_MS })).known).toBe(false)
      expect((await step({ holder: 'a', leaseMs: LEASE_MS })).known).toBe(true)
    })

    it('a newcomer after that finds the truth, and the changes before it', async () => {
      await step({ holder: 'a', leaseMs: 50, hold: [member('ann')] })
      await eventually(async () => expect(await step({ list: true })).toMatchObject({ members: [], count: 0, last: 2 }))
      expect((await step({})).dueMs).toBeUndefined()
    })

    it('ends at most a thousand holds in one step, and reports that more is due', async () => {
      const ids = Array.from({ length: 1_500 }, (_, index) => `m${index}`)
      await step({ holder: 'a', leaseMs: 20, hold: ids.map(id => member(id)) })
      await eventually(async () => expect((await step({})).count).toBeLessThan(1_500))
      const answer = await step({})
      expect(answer).toMatchObject({ count: 0, last: 3_000 })
      expect(new Set((await messages()).slice(1_500).map(({ id }) => id))).toEqual(new Set(ids))
    })

    it('a process whose lease has ended is not known any more, although only a part of its members have left by then', async () => {
      await step({ holder: 'a', leaseMs: 200, hold: Array.from({ length: 1_500 }, (_, index) => member(`m${index}`)) })
      await eventually(async () => expect((await step({})).count).toBeLessThan(1_500))
      expect(await step({ holder: 'a', leaseMs: LEASE_MS })).toMatchObject({ known: false })
      expect(await step({ holder: 'a', leaseMs: LEASE_MS })).toMatchObject({ known: true })
    })

    // @guarantee presence
    it('after a silence, leases and holds that ended meanwhile get more time, and the members are in doubt until the leases are renewed', async () => {
      await step({ holder: 'a', leaseMs: 30, hold: [member('ann'), member('ben')], release: [{ id: 'ben', afterMs: 30 }] })
      await step({ holder: 'b', leaseMs: 30, hold: [member('cleo')], graceMs: 20 })
      await new Promise(resolve => setTimeout(resolve, 60))
      const first = await step({ graceMs: 20, list: true })
      expect(first).toMatchObject({ count: 3, last: 3 })
      expect(first.doubtMs).toBeGreaterThan(0)
      expect(first.dueMs).toBeGreaterThan(0)
      expect(first.members).toHaveLength(3)
      // However late these are, a silence before them gives more time.
      const one = await step({ holder: 'a', leaseMs: LEASE_MS, graceMs: 20 })
      expect(one).toMatchObject({ count: 3, last: 3 })
      expect(one.doubtMs).toBeGreaterThan(0)
      const other = await step({ holder: 'b', leaseMs: LEASE_MS, graceMs: 20 })
      expect(other.doubtMs).toBeUndefined()
      expect(other).toMatchObject({ count: 3, last: 3 })
    })

    // @guarantee presence
    it('a silence gives more time also to a lease that ends soon after it', async () => {
      await step({ holder: 'a', leaseMs: 400, hold: [member('ann')] })
      await new Promise(resolve => setTimeout(resolve, 310))
      const { count, dueMs, doubtMs } = await step({ graceMs: 300 })
      expect(count).toBe(1)
      for (const ms of [dueMs!, doubtMs!]) expect(Math.abs(ms - 300)).toBeLessThanOrEqual(1)
    })

    // @guarantee presence
    it('look-ups with silences between them do not keep what has ended: a hold gets more time once, a lease a few times in a row', async () => {
      const wait = () => new Promise(resolve => setTimeout(resolve, 12))
      await step({ holder: 'a', leaseMs: 5, hold: [member('ann'), member('ben')], release: [{ id: 'ben', afterMs: 5 }] })
      const counts: number[] = []
      const look = async () => {
        await wait()
        counts.push((await step({ graceMs: 5 })).count)
      }
      for (let times = 0; times < MAX_GRACES; times++) await look()
      expect(counts).toEqual([2, ...Array.from({ length: MAX_GRACES - 1 }, () => 1)])
      await step({ holder: 'a', leaseMs: 5 })
      for (let times = 0; times <= MAX_GRACES; times++) await look()
      expect(counts.slice(MAX_GRACES)).toEqual([...Array.from({ length: MAX_GRACES }, () => 1), 0])
    })

    // @guarantee presence
    it('after a silence, what is not renewed ends', async () => {
      await step({ holder: 'a', leaseMs: 30, hold: [member('ann'), member('ben')], release: [{ id: 'ben', afterMs: 30 }] })
      await new Promise(resolve => setTimeout(resolve, 350))
      expect(await step({ graceMs: 300 })).toMatchObject({ count: 2, last: 2 })
      await eventually(async () => expect(await step({ graceMs: 300 })).toMatchObject({ count: 0, last: 4 }))
      expect((await step({ graceMs: 300 })).doubtMs).toBeUndefined()
    })

    // @guarantee presence
    it('without a silence, steps of others show that the driver can be reached: a lease ends at its end', async () => {
      await step({ holder: 'a', leaseMs: 100, hold: [member('ann')] })
      await eventually(async () => {
        const { count, doubtMs } = await step({ graceMs: 60_000 })
        expect(doubtMs).toBeUndefined()
        expect(count).toBe(0)
      })
    })

    // @guarantee presence
    it('follows a model: any steps of three processes, without time', async () => {
      const id = fc.constantFrom('ann', 'ben', 'cleo', 'dan')
      const holder = fc.constantFrom('a', 'b', 'c')
      const change = fc.record({ holder, id, data: fc.integer({ min: 1, max: 2 }), end: fc.boolean(), keep: fc.boolean() })
      await fc.assert(fc.asyncProperty(fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 15 }), async (steps) => {
        channel = `presence ${process.pid} ${++names}`
        const model = new Map<string, { data: number, holders: Set<string> }>()
        const told: unknown[] = []
        for (const changes of steps) {
          for (const { holder, id, data, end, keep } of changes) {
            const known = model.get(id)
            if (end) {
              await release(holder, { id, afterMs: 0 })
              if (known?.holders.delete(holder) && known.holders.size === 0) {
                model.delete(id)
                told.push({ type: 'leave', id })
              }
              continue
            }
            await hold(holder, { ...member(id, data), keep })
            if (!known) model.set(id, { data, holders: new Set([holder]) })
            if (!known) told.push({ type: 'join', member: { id, data } })
            else {
              known.holders.add(holder)
              if (known.data !== data && !keep) {
                known.data = data
                told.push({ type: 'update', member: { id, data } })
              }
            }
          }
        }
        expect(await messages()).toEqual(told)
        expect(await list()).toEqual([...model].map(([id, { data }]) => ({ id, data })).sort((one, other) => one.id < other.id ? -1 : 1))
      }), { numRuns: RUNS })
    })
  })
}
