import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import { readState } from '../../src/runtime/server/drivers/capabilities'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { LeasingDriver } from '../../src/runtime/server/drivers/capabilities'
import type { LogNotice } from '../../src/runtime/server/drivers/types'
import { eventually } from '../support/conditions'
import { oldBuild } from '../support/old-build'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const ALL = { messages: 100_000, bytes: 100_000_000 }

let redis: TestRedis
let admin: Redis
let before: ReturnType<typeof oldBuild>
let driver: LeasingDriver
let names = 0
beforeAll(async () => {
  redis = await startRedis()
  admin = new Redis(redis.url)
  before = oldBuild(admin)
  driver = createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION)
})
afterAll(async () => {
  await driver.close()
  admin.disconnect()
  await redis.stop()
})

const readByNew = async (channel: string, after = 0) => (await driver.read(channel, after, ALL)).entries.map(({ offset, event = '', data }) => ({ offset, event, data: unpackData(data) }))

describe('a rolling deploy: this build and the one before `maxBytes` on one Redis', () => {
  it('both read the same from either writer, and neither loses, repeats or changes a message', async () => {
    const step = fc.record({
      by: fc.constantFrom('old', 'new'),
      sizes: fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 5_000 })), { minLength: 1, maxLength: 8 }),
      event: fc.constantFrom('', 'named'),
      named: fc.constantFrom(undefined, { maxBytes: 1_000_000_000 }, { maxMessages: 500 }),
    })
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      const channel = `deploy ${++names}`
      const written: { offset: number, event: string, data: string }[] = []
      const epochs = new Set<string>()
      for (const { by, sizes, event, named } of steps) {
        const data = sizes.map((size, n) => JSON.stringify(`${written.length + n} ${'é'.repeat(size)}`))
        const answer = by === 'old'
          ? await before.append(channel, data, { event })
          : await driver.append(channel, data.map(text => ({ data: text, event: event || undefined })), { ...RETENTION, ...named, named })
        epochs.add(answer.epoch)
        for (const text of data) written.push({ offset: written.length + 1, event, data: text })
        expect((await before.read(channel)).messages).toEqual(written)
        expect(await readByNew(channel)).toEqual(written)
        expect(await readByNew(channel, written.length - 1)).toEqual(written.slice(-1))
      }
      expect(epochs.size).toBe(1)
    }), { numRuns: 30 * Number(process.env.SSE_RUNS ?? 1) })
  })

  it('this build drops messages over its byte limit, whatever the old build adds and trims meanwhile', async () => {
    const step = fc.record({ by: fc.constantFrom('old', 'new', 'new'), sizes: fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 6 }), maxMessages: fc.integer({ min: 1, max: 12 }) })
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      const channel = `bytes ${++names}`
      const named = { maxBytes: 6_000 }
      let kept: string[] = []
      for (const { by, sizes, maxMessages } of steps) {
        const data = sizes.map(size => JSON.stringify('x'.repeat(size)))
        kept = [...kept, ...data]
        if (by === 'old') await before.append(channel, data, { maxMessages })
        else await driver.append(channel, data.map(text => ({ data: text })), { ...RETENTION, maxMessages: 1_000, ...named, named })
        if (by === 'old') kept = kept.slice(-maxMessages)
        else while (kept.length > 1 && kept.join('').length > named.maxBytes) kept.shift()
        expect((await readByNew(channel)).map(({ data }) => data)).toEqual(kept)
        expect((await before.read(channel)).messages.map(({ data }) => data)).toEqual(kept)
      }
    }), { numRuns: 30 * Number(process.env.SSE_RUNS ?? 1) })
  })

  it('this build understands notices of the old one, and sends its own in the same form', async () => {
    const notices: LogNotice[] = []
    await driver.subscribe('notices', notice => void notices.push(notice))
    const heard: string[] = []
    const subscriber = new Redis(redis.url)
    subscriber.on('message', (_, text) => void heard.push(text))
    await subscriber.subscribe('sse:{notices}:live')
    await before.append('notices', ['1', '2'])
    await driver.append('notices', [{ data: '3' }], RETENTION)
    await eventually(() => expect(notices.flatMap(notice => notice.type === 'append' ? notice.entries.map(({ offset, data }) => [offset, data]) : [])).toEqual([[1, '1'], [2, '2'], [3, '3']]))
    await eventually(() => expect(heard).toHaveLength(2))
    for (const text of heard) expect(text).toMatch(/^\S+ \d+ \d+ \d+ 1(?:\n\d)+$/)
    subscriber.disconnect()
  })

  it('both builds share endings, deletions and leases', async () => {
    const acquire = (token: string) => driver.lease('lease', { type: 'acquire', token, leaseMs: 10_000, onLost: 'fail' }, RETENTION)
    expect((await before.lease('lease', 'acquire', 'old'))[1]).toBe('1')
    expect((await acquire('new')).held).toBe(false)
    await before.append('lease', ['1'], { token: 'old' })
    await expect(driver.append('lease', [{ data: '2' }], RETENTION, { id: 'new', number: 1, leased: true })).rejects.toMatchObject({ code: 'LEASE_LOST' })
    await driver.lease('lease', { type: 'stop' }, RETENTION)
    expect((await before.lease('lease', 'look', ''))[7]).toMatch(/ 1 \d+$/)
    await before.finish('lease', { error: { code: 'ABORTED' } })
    expect(await readState(driver, 'lease')).toMatchObject({ last: 1, closing: { error: { code: 'ABORTED' } } })
    const { epoch } = await readState(driver, 'lease')
    await driver.remove('lease')
    expect((await before.read('lease')).epoch).not.toBe(epoch)
    expect((await acquire('new')).held).toBe(true)
    expect((await before.lease('lease', 'renew', 'old'))[1]).toBe('0')
    await driver.finish('lease', {}, RETENTION)
    expect(await before.read('lease')).toMatchObject({ closing: {}, last: 0 })
  })

  it('a channel that the old build read last gets its longer lifetime again once this build reads it', async () => {
    const { epoch } = await driver.append('life', [{ data: '1' }], RETENTION)
    await before.read('life')
    const shortened = await admin.pttl('sse:{life}:meta')
    expect(shortened).toBeLessThan(2.3 * RETENTION.maxAgeMs)
    expect(await driver.read('life', 0, ALL)).toMatchObject({ epoch, last: 1 })
    expect(await admin.pttl('sse:{life}:meta')).toBeGreaterThan(9 * RETENTION.maxAgeMs)
  })
})
