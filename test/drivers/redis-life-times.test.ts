import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { readState } from '../../src/runtime/server/drivers/capabilities'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { LeasingDriver } from '../../src/runtime/server/drivers/capabilities'
import { eventually } from '../support/conditions'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const SHORT = { ...RETENTION, maxAgeMs: 2_000 }
const PAGE = { messages: 100, bytes: 1_000_000 }
const MINUTE_MS = 60_000

let redis: TestRedis
let admin: Redis
const drivers: LeasingDriver[] = []
beforeAll(async () => {
  redis = await startRedis()
  admin = new Redis(redis.url)
})
afterEach(() => Promise.all(drivers.splice(0).map(driver => driver.close())))
afterAll(async () => {
  admin.disconnect()
  await redis.stop()
})

const open = () => drivers[drivers.push(createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION)) - 1]!
const meta = (channel: string) => `sse:{${channel}}:meta`
/** Writes to the data set so far, as replicas and the append-only file receive them. */
const writes = async () => Number(/rdb_changes_since_last_save:(\d+)/.exec(await admin.info('persistence'))![1])

describe('the time that Redis remembers a channel', () => {
  it.each<[string, (driver: LeasingDriver, channel: string) => Promise<unknown>, number, number]>([
    ['that was only read, for minutes', (driver, channel) => readState(driver, channel), 15, 30],
    ['whose messages live for two seconds, for an hour', (driver, channel) => driver.append(channel, [{ data: '1' }], SHORT), 59, 61],
    ['whose messages live for an hour, for ten', (driver, channel) => driver.append(channel, [{ data: '1' }], RETENTION), 599, 601],
    ['that has ended, for minutes', async (driver, channel) => {
      await driver.append(channel, [{ data: '1' }], SHORT)
      await driver.finish(channel, {}, SHORT)
    }, 15, 30],
    ['that has ended with messages of an hour, for longer than these', async (driver, channel) => {
      await driver.append(channel, [{ data: '1' }], RETENTION)
      await driver.finish(channel, {}, RETENTION)
    }, 130, 133],
    ['with a lease of a day, for longer than that', (driver, channel) => driver.lease(channel, { type: 'acquire', token: 't', leaseMs: 24 * 60 * MINUTE_MS, onLost: 'fail' }, SHORT), 2 * 1_440, 4 * 1_440],
    ['that was deleted with such a lease, whose holder must learn of it', async (driver, channel) => {
      await driver.lease(channel, { type: 'acquire', token: 't', leaseMs: 24 * 60 * MINUTE_MS, onLost: 'fail' }, SHORT)
      await driver.remove(channel)
    }, 2 * 1_440, 4 * 1_440],
    ['whose named age was replaced, for as long as the new one requires', async (driver, channel) => {
      await driver.append(channel, [{ data: '1' }], { ...RETENTION, maxAgeMs: 1_000 * MINUTE_MS })
      await driver.append(channel, [{ data: '1' }], { ...SHORT, named: { maxAgeMs: 2_000 } })
    }, 59, 61],
  ])('a channel %s', async (title, write, least, most) => {
    await write(open(), title)
    const minutes = await admin.pttl(meta(title)) / MINUTE_MS
    expect(minutes).toBeGreaterThan(least)
    expect(minutes).toBeLessThan(most)
  })

  it('the epoch and the offsets survive the messages', async () => {
    const driver = open()
    const short = { ...RETENTION, maxAgeMs: 20 }
    const { epoch } = await driver.append('gone', [{ data: '1' }], short)
    await eventually(async () => expect(await admin.exists('sse:{gone}:log')).toBe(0))
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(await driver.read('gone', 1, PAGE, { epoch })).toMatchObject({ epoch, first: 2, last: 1, entries: [] })
  })

  it.each<[string, (driver: LeasingDriver, channel: string) => Promise<unknown>]>([
    ['a channel that was only read', (driver, channel) => readState(driver, channel)],
    ['a silent channel', (driver, channel) => driver.append(channel, [{ data: '1' }], RETENTION)],
    ['a silent channel whose messages live for half a minute', (driver, channel) => driver.append(channel, [{ data: '1' }], { ...RETENTION, maxAgeMs: 30_000 })],
    ['a channel that has ended', async (driver, channel) => {
      await driver.append(channel, [{ data: '1' }], RETENTION)
      await driver.finish(channel, {}, RETENTION)
    }],
    ['a channel with a lease', (driver, channel) => driver.lease(channel, { type: 'acquire', token: 't', leaseMs: 10_000, onLost: 'fail' }, RETENTION)],
  ])('reading %s writes nothing until half of its lifetime is over, and then once', async (title, write) => {
    const driver = open()
    const channel = `read ${title}`
    const read = async () => {
      await driver.read(channel, 0, PAGE)
      await readState(driver, channel)
      await driver.lease(channel, { type: 'look' }, RETENTION)
    }
    await write(driver, channel)
    await read()
    const life = await admin.pttl(meta(channel))
    let before = await writes()
    for (let n = 0; n < 5; n++) await read()
    expect(await writes()).toBe(before)
    // Half of the lifetime is over.
    await admin.pexpire(meta(channel), Math.floor(life * 0.49))
    before = await writes()
    await read()
    await read()
    expect(await writes()).toBe(before + 1)
    expect(await admin.pttl(meta(channel))).toBeGreaterThan(life * 0.9)
  })

  it('exceeds every interval at which the hub reads a silent channel', async () => {
    // 5 minutes, and half as much again: the hub's longest interval for a silent channel.
    const rarestMs = 7.5 * MINUTE_MS
    const driver = open()
    await readState(driver, 'rarely')
    const life = await admin.pttl(meta('rarely'))
    for (let look = 0; look < 20; look++) {
      const left = await admin.pttl(meta('rarely')) - rarestMs
      expect(left).toBeGreaterThan(0)
      await admin.pexpire(meta('rarely'), left)
      await driver.read('rarely', 0, PAGE)
    }
    expect(life).toBeLessThan(30 * MINUTE_MS)
  })

  it('a user without permission to read the remaining time renews it with each read', async () => {
    await admin.acl('SETUSER', 'strict', 'on', '>secret', '~*', '&*', '+@all', '-pttl')
    const driver = createRedisDriver({ createClient: options => new Redis(redis.url, { ...options, username: 'strict', password: 'secret' }) }, RETENTION)
    drivers.push(driver)
    const { epoch } = await driver.append('strict', [{ data: '1' }], RETENTION)
    const life = await admin.pttl(meta('strict'))
    await admin.pexpire(meta('strict'), life - 10_000)
    expect(await driver.read('strict', 0, PAGE)).toMatchObject({ epoch, last: 1 })
    expect(await admin.pttl(meta('strict'))).toBeGreaterThan(life - 5_000)
  })
})
