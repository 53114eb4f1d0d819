import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { SSEReader } from '../support/read-sse'
import type { ReplicatedTopology, TestRedis } from '../support/redis'
import { startCluster, startSentinel } from '../support/redis'
import { publish, publishAgain } from '../support/redis-checks'
import { Roamer } from '../support/roamer'
import { eventually, LOADED_MS } from '../support/conditions'

const READERS = 20

describe.each([
  ['a cluster with replicas', () => startCluster({ replicas: 1, nodeTimeoutMs: 2_000 })],
  ['a primary and a replica under a Sentinel', startSentinel],
] as const)('a failover of %s', (name, start) => {
  let redis: ReplicatedTopology
  let servers: BuiltServer[]
  const channel = 'failover'
  beforeEach(async () => {
    redis = await start()
    const run = () => startBuiltServer('basic', { env: redis.env })
    servers = await Promise.all([run(), run()])
  })
  afterEach(async () => {
    await stopBuiltServers()
    await redis.stop()
  })

  const urlOf = (server: BuiltServer) => `${server.url}/api/channel/${channel}`

  /** Resolves with the time when another node has the channel. */
  async function replaced(old: TestRedis): Promise<number> {
    await eventually(async () => expect((await redis.primaryOf(channel)).port).not.toBe(old.port))
    return performance.now()
  }

  // @guarantee order-once, stored
  it('the primary killed under readers and publishers', async () => {
    const roamers = Array.from({ length: READERS }, (_, index) => new Roamer(() => servers.map(urlOf), index))
    const running = roamers.map(roamer => roamer.run())
    const acknowledged: string[] = []
    let n = 0
    let over = false
    const publishing = servers.map(async (server) => {
      while (!over) {
        const id = await publish(server, channel, ++n)
        if (id) acknowledged.push(id)
      }
    })
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(50))
    const primary = await redis.primaryOf(channel)
    await primary.kill()
    const before = acknowledged.length
    const back = await replaced(primary)
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(before))
    const tookMs = performance.now() - back
    console.log(`${name}: publishing went on ${Math.round(tookMs)} ms after another node had taken over`)
    expect(tookMs).toBeLessThan(LOADED_MS)
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(before + 50))
    over = true
    await Promise.all(publishing)
    const last = await publishAgain(servers[0]!, channel, ++n)
    await eventually(() => expect(roamers.filter(({ seen }) => seen.at(-1)?.id === last)).toHaveLength(READERS))
    await Promise.all(roamers.map(roamer => roamer.stop()))
    await Promise.all(running)

    for (const { seen, gaps } of roamers) {
      const ids = seen.map(({ id }) => id)
      expect(new Set(ids).size).toBe(ids.length)
      if (gaps.length) continue
      expect(ids.map(id => Number(id.split('.')[1]))).toEqual(ids.map((_, index) => index + 1))
      expect(acknowledged.filter(id => !ids.includes(id))).toEqual([])
      expect(new Set(seen.map(one => one.n)).size).toBe(seen.length)
    }
    for (const server of servers) expect(server.output()).not.toMatch(/unhandled (rejection|error)|uncaught/i)
  })

  // @guarantee failover
  it('a failover that loses acknowledged messages, and gives their offsets to others: a gap, and never a wrong message', async () => {
    const [one, two] = servers as [BuiltServer, BuiltServer]
    const kept = await publishAgain(one, channel, 1)
    await using reader = await SSEReader.open(urlOf(two), { headers: { 'last-event-id': kept } })
    await reader.until(r => r.controls.length > 0)
    const primary = await redis.primaryOf(channel)
    const admin = new Redis(primary.url)
    // The first is to be there afterwards.
    expect(await admin.wait(1, 5_000)).toBe(1)
    // Open connections stay; the replica, cut off, cannot reconnect, and gets nothing any more.
    await admin.config('SET', 'requirepass', 'secret')
    await admin.client('KILL', 'TYPE', 'replica')
    await publish(one, channel, 2)
    await publish(one, channel, 3)
    await reader.until(r => r.data.length === 2)
    const lost = reader.messages.at(-1)!.id!
    admin.disconnect()
    // A process that has never published to it, and knows of nothing.
    const fresh = await startBuiltServer('basic', { env: redis.env })
    await primary.kill()
    await one.stop('SIGKILL')
    const back = await replaced(primary)
    const ids = [await publishAgain(fresh, channel, 4), await publishAgain(fresh, channel, 5), await publishAgain(fresh, channel, 6)]
    await reader.until(r => r.data.some(data => (data as { n: number }).n === 6))
    console.log(`${name}: readers had the rest ${Math.round(performance.now() - back)} ms after another node had taken over`)
    expect(performance.now() - back).toBeLessThan(LOADED_MS)
    expect(reader.controls.at(-1)).toMatchObject({ type: 'gap', reason: 'epoch', missed: null })
    expect(reader.messages.map(({ data }) => (data as { n: number }).n)).toEqual([2, 3, 1, 4, 5, 6])
    // A client that reconnects with a lost position gets a gap, too.
    const batch = await (await fetch(`${urlOf(fresh)}?transport=poll&waitMs=0&position=${lost}`)).json()
    expect(batch.gap).toMatchObject({ reason: 'epoch' })
    expect(batch.messages.map((message: { data: { n: number } }) => message.data.n)).toEqual([1, 4, 5, 6])
    expect(batch.messages.at(-1).id.split('.')[1]).toBe(ids.at(-1)!.split('.')[1])
  })
})
