import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ChannelReader } from '../../src/runtime/server/hub/channel-reader'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import { Hub } from '../../src/runtime/server/hub/hub'
import { Pull } from '../../src/runtime/server/hub/pull'
import { eventually } from '../support/conditions'
import { startRedis } from '../support/redis'
import type { TestRedis } from '../support/redis'
import { startRedisProxy } from '../support/redis-proxy'
import type { RedisProxy } from '../support/redis-proxy'

/** Cost of many channels for Redis, counted on the connection. `npm run bench` counts 5,000 and 10,000 channels. */

const RETENTION = { maxMessages: 100, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const CHANNELS = 400
/** Channels that this process publishes to and does not read. */
const UNREAD = 200

let redis: TestRedis
let proxy: RedisProxy
beforeAll(async () => {
  redis = await startRedis()
  proxy = await startRedisProxy(redis.port)
})
afterAll(async () => {
  await proxy.close()
  await redis.stop()
})

it('after an outage of Redis, at most 64 scripts are in flight, and all readers get the messages they missed', async () => {
  const driver = createRedisDriver({ createClient: settings => new Redis(proxy.url, settings), report: () => {} }, RETENTION)
  const direct = createRedisDriver({ createClient: settings => new Redis(redis.url, settings), report: () => {} }, RETENTION)
  const hub = new Hub(driver)
  const names = Array.from({ length: CHANNELS }, (_, n) => `read ${n}`)
  const readers: ChannelReader[] = []
  for (const name of names) readers.push(await hub.reader(name, undefined, 'start'))
  for (let n = 0; n < UNREAD; n++) await driver.append(`unread ${n}`, [{ data: '1' }], RETENTION)

  proxy.stop()
  await Promise.all(names.map(name => direct.append(name, [{ data: '"missed"' }], RETENTION)))
  proxy.reset()
  proxy.start()
  const steps = await Promise.all(readers.map(reader => new Pull(reader).next()))
  expect(new Set(steps.map(step => step?.type))).toEqual(new Set(['messages']))
  // The driver then checks channels without readers, too.
  const scripts = () => [...proxy.commands].reduce((sum, [name, count]) => name.startsWith('eval') ? sum + count : sum, 0)
  await eventually(() => expect(scripts()).toBeGreaterThanOrEqual(CHANNELS + UNREAD))
  expect(proxy.mostScripts).toBeLessThanOrEqual(64)

  for (const reader of readers) reader.close()
  expect(hub.size).toBe(0)
  await driver.close()
  await direct.close()
})
