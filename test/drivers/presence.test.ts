import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../src/runtime/server/drivers/memory/memory'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { PresenceDriver } from '../../src/runtime/server/drivers/capabilities'
import { startRedis } from '../support/redis'
import type { TestRedis } from '../support/redis'
import { describePresence } from './presence-suite'
import { LOADED_MS } from '../support/conditions'

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

// @guarantee presence
it('the redis driver: a Redis that stood still for longer than a lease ends no member, although no step has failed', async () => {
  const paused = await startRedis()
  const drivers = Array.from({ length: 3 }, () => createRedisDriver({ createClient: options => new Redis(paused.url, options) }, RETENTION))
  const [reader, ...holders] = drivers as [PresenceDriver, PresenceDriver, PresenceDriver]
  const renew = (index: number) => holders[index]!.presence('paused', { holder: `holder${index}`, leaseMs: 60_000, graceMs: 120, hold: [{ id: `${index}`, member: `{"id":"${index}"}`, keep: true }] }, RETENTION)
  await reader.presence('paused', {}, RETENTION)
  for (const index of [0, 1]) await holders[index]!.presence('paused', { holder: `holder${index}`, leaseMs: 300, graceMs: 120, hold: [{ id: `${index}`, member: `{"id":"${index}"}` }] }, RETENTION)
  paused.pause()
  const looking = reader.presence('paused', { graceMs: 120, list: true }, RETENTION)
  await new Promise(resolve => setTimeout(resolve, 500))
  paused.resume()
  expect(await looking).toMatchObject({ count: 2, last: 2, members: ['{"id":"0"}', '{"id":"1"}'], doubtMs: expect.any(Number) as number })
  for (const index of [0, 1]) expect(await renew(index)).toMatchObject({ count: 2, last: 2 })
  await Promise.all(drivers.map(driver => driver.close()))
  await paused.stop()
})

describe('the redis driver: steps of many names in one tick', () => {
  const LEASE = { holder: 'a', leaseMs: 60_000 }
  const hold = (id: string) => ({ id, member: JSON.stringify({ id }) })

  /** Script calls that `task` makes. */
  async function callsOf(admin: Redis, task: () => Promise<unknown>): Promise<number> {
    const calls = async () => [...(await admin.info('commandstats')).matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)
    const before = await calls()
    await task()
    return await calls() - before
  }

  it('are one call for each hundred names, and each name has its own answer', async () => {
    const driver = openRedis()
    const admin = new Redis(redis.url)
    const names = Array.from({ length: 250 }, (_, index) => `together ${index}`)
    await Promise.all(names.map((name, index) => driver.presence(name, { ...LEASE, hold: Array.from({ length: index % 3 }, (_, n) => hold(`${n}`)) }, RETENTION)))
    // The script is sent once.
    await Promise.all(names.slice(0, 2).map(name => driver.presence(name, LEASE, RETENTION)))
    const epochs = await Promise.all(names.map(async name => (await driver.read(name, 0, { messages: 0, bytes: 0 })).epoch))
    let answers: Awaited<ReturnType<typeof driver.presence>>[] = []
    expect(await callsOf(admin, async () => {
      answers = await Promise.all(names.map((name, index) => driver.presence(name, index % 2 ? LEASE : {}, RETENTION)))
    })).toBe(3)
    expect(answers).toEqual(names.map((_, index) => ({ epoch: epochs[index], last: index % 3, known: index % 2 === 1, count: index % 3, dueMs: expect.any(Number) as number })))
    for (const { dueMs } of answers) expect(dueMs).toBeGreaterThan(30_000)
    admin.disconnect()
    await driver.close()
  })

  it('a name that Redis refuses rejects alone', async () => {
    const reports: string[] = []
    const driver = createRedisDriver({ report: message => reports.push(message), createClient: options => new Redis(redis.url, options) }, RETENTION)
    const admin = new Redis(redis.url)
    const names = ['refused 0', 'refused 1', 'refused 2']
    for (const name of names) await driver.presence(name, { ...LEASE, hold: [hold('ann')] }, RETENTION)
    await admin.set('sse:{refused 1}:members', 'text')
    const answers = await Promise.allSettled(names.map(name => driver.presence(name, LEASE, RETENTION)))
    expect(answers).toMatchObject([{ value: { known: true, count: 1 } }, { reason: { code: 'DRIVER_UNAVAILABLE' } }, { value: { known: true, count: 1 } }])
    expect(reports).toHaveLength(1)
    admin.disconnect()
    await driver.close()
  })

  it('end together about as many holds that are due as one step, and the others in the next steps, each once', async () => {
    const driver = openRedis()
    const names = Array.from({ length: 100 }, (_, index) => `due ${index}`)
    const ids = Array.from({ length: 40 }, (_, index) => `${index}`)
    await Promise.all(names.map(name => driver.presence(name, { holder: 'a', leaseMs: 1, hold: ids.map(hold) }, RETENTION)))
    await new Promise(resolve => setTimeout(resolve, 5))
    const left: number[] = []
    for (let step = 0; step < 5; step++) {
      const answers = await Promise.all(names.map(name => driver.presence(name, { holder: 'b', leaseMs: 60_000 }, RETENTION)))
      left.push(answers.reduce((sum, { count }) => sum + count, 0))
      expect(answers.every(({ count, dueMs }) => count === 0 || dueMs === 0)).toBe(true)
    }
    expect(left).toEqual([3_000, 2_000, 1_000, 0, 0])
    expect((await driver.presence(names[7]!, {}, RETENTION)).last).toBe(80)
    await driver.close()
  })

  it('reject within the time limit while Redis is away', async () => {
    const away = await startRedis()
    const driver = createRedisDriver({ timeoutMs: 300, report: () => {}, createClient: options => new Redis(away.url, options) }, RETENTION)
    await driver.presence('away', { ...LEASE, hold: [hold('ann')] }, RETENTION)
    await away.stop()
    const startedAt = performance.now()
    const answers = await Promise.allSettled(['away', 'gone'].map(name => driver.presence(name, LEASE, RETENTION)))
    expect(answers).toMatchObject([{ reason: { code: 'DRIVER_UNAVAILABLE' } }, { reason: { code: 'DRIVER_UNAVAILABLE' } }])
    expect(performance.now() - startedAt).toBeLessThan(LOADED_MS)
    await driver.close()
  })
})
