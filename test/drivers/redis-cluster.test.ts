import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as ioredis from 'ioredis'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import { redisSettings } from '../../src/runtime/server/drivers/redis/connection/client'
import { redisConnector } from '../../src/runtime/server/drivers/redis/connection/connect'
import { RedisShards } from '../../src/runtime/server/drivers/redis/connection/shards'
import type { LogNotice } from '../../src/runtime/server/drivers/types'
import { startCluster, stopRedis } from '../support/redis'
import type { TestTopology } from '../support/redis'
import { describePresence } from './presence-suite'
import { describeDriver } from './suite'
import { eventually } from '../support/conditions'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 60_000, maxBytes: 67_108_864 }

let cluster: TestTopology
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(stopRedis)

const open = () => {
  const connect = redisConnector({ url: cluster.env.NUXT_SSE_REDIS_URL, cluster: true })
  return createRedisDriver({ createClient: settings => connect(ioredis, settings) }, RETENTION)
}

describeDriver('redis', () => ({ driver: open() }))
describePresence('redis', () => ({ driver: open() }))

describe('the redis driver on a cluster', () => {
  // @guarantee cluster-slots
  it('every script and every notice of a channel stays in one slot, and channels are on all nodes', async () => {
    const driver = open()
    const seen: LogNotice[] = []
    const channels = Array.from({ length: 60 }, (_, index) => `c${index}`)
    const offs = await Promise.all(channels.map(channel => driver.subscribe(channel, notice => void seen.push(notice))))
    await Promise.all(channels.map(channel => driver.append(channel, [{ data: JSON.stringify(channel), key: 'k' }], RETENTION)))
    await eventually(() => expect(seen.flatMap(notice => notice.type === 'append' ? notice.entries.map(({ data }) => JSON.parse(unpackData(data))) : []).sort()).toEqual([...channels].sort()))
    for (const node of cluster.nodes) {
      const admin = new Redis(node.url)
      expect(await admin.dbsize()).toBeGreaterThan(10)
      // Sharded notices only: nodes do not forward them to each other.
      expect(await admin.pubsub('CHANNELS')).toEqual([])
      expect((await admin.call('PUBSUB', 'SHARDCHANNELS') as string[]).length).toBeGreaterThan(10)
      // One for commands and one for subscriptions. The third is the test's own.
      const clients = (await admin.client('LIST') as string).trim().split('\n').filter(line => !/flags=[SM]|name=ioredis-cluster\(refresher\)/.test(line))
      expect(clients.length - 1).toBeLessThanOrEqual(2)
      admin.disconnect()
    }
    for (const off of offs) off()
    await eventually(async () => {
      for (const node of cluster.nodes) {
        const admin = new Redis(node.url)
        expect(await admin.call('PUBSUB', 'SHARDCHANNELS')).toEqual([])
        admin.disconnect()
      }
    })
    await driver.close()
  })

  it('follows a slot to another node, with an active reader and publisher', async () => {
    const driver = open()
    const notices: LogNotice[] = []
    const off = await driver.subscribe('moving', notice => void notices.push(notice))
    const { epoch } = await driver.append('moving', [{ data: '1' }], RETENTION)
    await eventually(() => expect(notices.length).toBe(1))

    const admins = await Promise.all(cluster.nodes.map(async ({ url }) => {
      const admin = new Redis(url)
      return { admin, id: await admin.cluster('MYID') as string, keys: await admin.keys('sse:{moving}:*') }
    }))
    const from = admins.find(({ keys }) => keys.length > 0)!
    const to = admins.find(({ keys }) => keys.length === 0)!
    const slot = Number(await from.admin.cluster('KEYSLOT', '{moving}'))
    await to.admin.cluster('SETSLOT', slot, 'IMPORTING', from.id)
    await from.admin.cluster('SETSLOT', slot, 'MIGRATING', to.id)
    for (const key of await from.admin.keys('sse:{moving}:*')) await from.admin.migrate('127.0.0.1', to.admin.options.port!, key, 0, 1_000)
    for (const { admin } of admins) await admin.cluster('SETSLOT', slot, 'NODE', to.id)

    notices.length = 0
    await eventually(async () => expect(await driver.append('moving', [{ data: '2', key: 'second' }], RETENTION)).toEqual({ epoch, offsets: [2] }))
    await eventually(() => expect(notices.length).toBeGreaterThan(0))
    // The reader keeps receiving messages from the new node.
    await eventually(async () => expect(Number((await to.admin.call('PUBSUB', 'SHARDNUMSUB', 'sse:{moving}:live') as string[])[1])).toBe(1))
    notices.length = 0
    await driver.append('moving', [{ data: '3' }], RETENTION)
    await eventually(() => expect(notices).toMatchObject([{ type: 'append', entries: [{ offset: 3, data: '3' }] }]))
    expect((await driver.read('moving', 0, { messages: 10, bytes: 1_000 })).entries.map(({ data }) => data)).toEqual(['1', '2', '3'])
    off()
    for (const { admin } of admins) admin.disconnect()
    await driver.close()
  })

  it.each(['delete', 'close'] as const)('a subscription that %s ends while it is in flight opens no connection', async (how) => {
    const client = redisConnector({ url: cluster.env.NUXT_SSE_REDIS_URL, cluster: true })(ioredis, redisSettings(2_000, 'commands')) as ioredis.Cluster
    await client.connect()
    const shards = new RedisShards(client, 2_000, { onMessage() {}, onMissed() {} })
    const added = shards.add('{late}', performance.now() + 2_000)
    if (how === 'delete') shards.delete('{late}')
    else shards.close()
    await expect(added).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    for (const node of cluster.nodes) {
      const admin = new Redis(node.url)
      expect(await admin.call('PUBSUB', 'SHARDCHANNELS', '{late}')).toEqual([])
      admin.disconnect()
    }
    shards.close()
    client.disconnect()
  })

  it('leaves no open connection', async () => {
    await eventually(async () => {
      for (const node of cluster.nodes) {
        const admin = new Redis(node.url)
        const others = (await admin.client('LIST') as string).trim().split('\n').filter(line => line.includes('cmd=evalsha') || line.includes('ssubscribe'))
        admin.disconnect()
        expect(others).toEqual([])
      }
    })
  })
})
