import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { Redis } from 'ioredis'
import { Hub } from '../../src/runtime/server/hub'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'
import { describeDriver } from './suite'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 60_000 }

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

describeDriver('redis', () => ({ driver: createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION) }))

describe('the redis driver: a Redis that has gone back', () => {
  let admin: Redis
  const drivers: ReturnType<typeof createRedisDriver>[] = []
  const open = () => {
    const driver = createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION)
    drivers.push(driver)
    return driver
  }
  beforeEach(() => {
    admin = new Redis(redis.url)
  })
  afterEach(async () => {
    admin.disconnect()
    await Promise.all(drivers.splice(0).map(driver => driver.close()))
  })

  /** As a replica does that had not got the last two messages when it was made the primary. */
  async function loseTwo(channel: string): Promise<void> {
    await admin.xdel(`sse:{${channel}}:log`, '4-0', '5-0')
    await admin.xsetid(`sse:{${channel}}:log`, '3-0')
    await admin.hset(`sse:{${channel}}:meta`, 'last', '3')
  }
  const five = Array.from({ length: 5 }, (_, index) => ({ data: String(index + 1) }))

  it('trap 34: who has published more than is there begins a new epoch, and does not give an offset twice', async () => {
    const driver = open()
    const { epoch } = await driver.append('writer', five, RETENTION)
    await loseTwo('writer')
    const next = await driver.append('writer', [{ data: '6' }], RETENTION)
    expect(next.epoch).not.toBe(epoch)
  })

  it('trap 34: readers who have seen more than is there are told of a gap', async () => {
    const driver = open()
    const hub = new Hub(driver)
    const { epoch } = await driver.append('reader', five, RETENTION)
    const reader = await hub.reader('reader', { kind: 'at', epoch, offset: 5 }, 'now')
    await loseTwo('reader')
    // Another process publishes, which knows of nothing.
    await open().append('reader', [{ data: '6' }], RETENTION)
    await vi.waitFor(async () => expect(await reader.step()).toMatchObject({ type: 'gap', gap: { reason: 'epoch', missed: null } }), { timeout: 10_000 })
    expect(await reader.step()).toMatchObject({ type: 'messages', run: { entries: [{ data: '1' }, { data: '2' }, { data: '3' }, { data: '6' }] } })
    reader.close()
  }, 15_000)

  it('a stream that is ahead of its meta data is not trusted, and does not block the channel', async () => {
    const driver = open()
    const { epoch } = await driver.append('torn', five, RETENTION)
    await admin.hset('sse:{torn}:meta', 'last', '3')
    const next = await open().append('torn', [{ data: '6' }, { data: '7' }], RETENTION)
    expect(next.epoch).not.toBe(epoch)
    const page = await driver.read('torn', 0, { messages: 10, bytes: 1_000 })
    expect(page).toMatchObject({ epoch: next.epoch, first: 4, last: 5, entries: [{ offset: 4, data: '6' }, { offset: 5, data: '7' }] })
  })

  it('a position that a stranger made up changes nothing', async () => {
    const driver = open()
    const { epoch } = await driver.append('stranger', five, RETENTION)
    expect((await driver.read('stranger', 1_000, { messages: 10, bytes: 1_000 })).epoch).toBe(epoch)
  })
})

describe('the redis driver: what goes over its connections', () => {
  it('appends of one tick to one channel are one call, and every one has its own answer', async () => {
    const admin = new Redis(redis.url)
    const driver = createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION)
    await driver.append('warm', [{ data: '0' }], RETENTION)
    const calls = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
    const before = await calls()
    const answers = await Promise.all(Array.from({ length: 64 }, (_, index) => driver.append('tick', [{ data: String(index) }], RETENTION)))
    expect(answers.map(({ offsets }) => offsets[0])).toEqual(Array.from({ length: 64 }, (_, index) => index + 1))
    expect(await calls() - before).toBe(1)
    admin.disconnect()
    await driver.close()
  })

  it('never queues without bound, and says so at once', async () => {
    const driver = createRedisDriver({ createClient: options => new Redis({ ...options, port: 1 }), timeoutMs: 200, report: () => {} }, RETENTION)
    const refused = await Promise.allSettled(Array.from({ length: 10_050 }, () => driver.append('c', [{ data: '1' }], RETENTION)))
    expect(refused.every(result => result.status === 'rejected' && result.reason.code === 'DRIVER_UNAVAILABLE')).toBe(true)
    await driver.close()
  })

  it('rejects at once when there can be no client, and works as soon as there is one', async () => {
    let installed = false
    let asked = 0
    const driver = createRedisDriver({ createClient: (options) => {
      asked++
      if (!installed) throw new Error('Cannot find package')
      return new Redis(redis.url, options)
    } }, RETENTION)
    await expect(driver.append('c', [{ data: '1' }], RETENTION)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    await expect(driver.subscribe('c', () => {})).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    expect(asked).toBe(2)
    // Trap 33: a failed first attempt is not remembered.
    installed = true
    expect((await driver.append('later', [{ data: '1' }], RETENTION)).offsets).toEqual([1])
    await driver.close()
  })

  it('says once that Redis is away, and once that it is back', async () => {
    const own = await startRedis()
    const said: string[] = []
    const driver = createRedisDriver({ createClient: options => new Redis(own.url, options), timeoutMs: 300, report: message => said.push(message) }, RETENTION)
    await driver.append('c', [{ data: '1' }], RETENTION)
    await own.stop()
    for (let n = 0; n < 5; n++) await expect(driver.append('c', [{ data: '2' }], RETENTION)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    const again = await startRedis({ port: own.port })
    await vi.waitFor(() => driver.append('c', [{ data: '3' }], RETENTION), { timeout: 5_000 })
    expect(said).toEqual(['Redis cannot be reached: what is published is refused until it can be.', 'Redis is back.'])
    await driver.close()
    await again.stop()
  })
})
