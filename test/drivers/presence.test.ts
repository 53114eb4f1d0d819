import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../src/runtime/server/drivers/memory/memory'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import { startRedis } from '../support/redis'
import type { TestRedis } from '../support/redis'
import { describePresence } from './presence-suite'

const RETENTION = { maxMessages: 10_000, maxAgeMs: 60_000, maxBytes: 67_108_864 }

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
const openRedis = () => createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION)

describePresence('memory', () => ({ driver: createMemoryDriver(RETENTION) }))
describePresence('redis', () => ({ driver: openRedis() }))

describe('the redis driver: presence, when records are lost', () => {
  const HOLD = { holder: 'a', leaseMs: 60_000, hold: [{ id: 'ann', member: '{"id":"ann"}' }] }

  it.each(['members', 'due', 'meta'])('begins a new epoch without members if `%s` is evicted, and processes notice that they must report theirs', async (part) => {
    const driver = openRedis()
    const admin = new Redis(redis.url)
    const name = `lost ${part}`
    const before = await driver.presence(name, HOLD, RETENTION)
    await admin.del(`sse:{${name}}:${part}`)
    const after = await driver.presence(name, { list: true }, RETENTION)
    expect(after).toMatchObject({ members: [], count: 0 })
    expect(after.epoch).not.toBe(before.epoch)
    expect((await driver.presence(name, { holder: 'a', leaseMs: 60_000 }, RETENTION)).known).toBe(false)
    const again = await driver.presence(name, { ...HOLD, list: true }, RETENTION)
    expect(again).toMatchObject({ known: true, epoch: after.epoch, members: ['{"id":"ann"}'] })
    expect((await driver.presence(name, {}, RETENTION)).epoch).toBe(after.epoch)
    admin.disconnect()
    await driver.close()
  })

  it('no key stays forever', async () => {
    const driver = openRedis()
    const admin = new Redis(redis.url)
    await driver.presence('expiry', HOLD, RETENTION)
    const keys = await admin.keys('sse:{expiry}:*')
    expect(keys.map(key => key.split(':').at(-1)).sort()).toEqual(['due', 'log', 'members', 'meta'])
    for (const key of keys) expect(await admin.pttl(key)).toBeGreaterThan(0)
    admin.disconnect()
    await driver.close()
  })
})
