import { randomUUID } from 'node:crypto'
import process from 'node:process'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { BuiltServer } from './built-server'
import { startBuiltServer, stopBuiltServers } from './built-server'
import { SSEReader } from './read-sse'
import type { TestTopology } from './redis'
import { Roamer } from './roamer'
import { eventually, LOADED_MS } from './conditions'

const READERS = 50
/** `SSE_RUNS=20` repeats tests that depend on timing. */
const RUNS = Number(process.env.SSE_RUNS ?? 1)
/** A server answers a publish before this, or refuses it. */
const PUBLISH_LIMIT_MS = 10_000

/** Publishes through a server. Resolves with the ID, or `undefined` if the server refused it. */
export async function publish(server: BuiltServer, channel: string, n: number, key = ''): Promise<string | undefined> {
  try {
    const response = await fetch(`${server.url}/api/publish/${channel}?key=${key}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ n }), signal: AbortSignal.timeout(PUBLISH_LIMIT_MS) })
    return response.ok ? (await response.json() as { id: string }).id : undefined
  }
  catch {
    return undefined
  }
}

/** Publishes once, as soon as possible. The key makes a retry safe after a refusal with an unknown outcome. */
export async function publishAgain(server: BuiltServer, channel: string, n: number): Promise<string> {
  const key = randomUUID()
  return vi.waitFor(async () => {
    const id = await publish(server, channel, n, key)
    if (!id) throw new Error('It was refused.')
    return id
  }, { timeout: 45_000, interval: 10 })
}

/** Opens a stream and retries after a 503, like a client. A process with 500 simultaneous readers may read the answers of Redis too late. */
async function openStream(url: string, init?: RequestInit): Promise<SSEReader> {
  return vi.waitFor(async () => {
    const reader = await SSEReader.open(url, init)
    if (reader.response.status !== 503) return reader
    await reader.close()
    throw new Error('It was told to come again.')
  }, { timeout: 45_000, interval: 50 })
}

/** Tests for two built servers on one Redis, for each form of Redis. */
export function describeRedis(name: string, start: () => Promise<TestTopology>): void {
  describe(`two servers and ${name}`, () => {
    let redis: TestTopology
    let servers: BuiltServer[]
    let channel: string
    let names = 0
    beforeAll(async () => {
      redis = await start()
    })
    afterAll(() => redis.stop())
    beforeEach(async () => {
      channel = `c${++names}`
      const run = () => startBuiltServer('basic', { env: redis.env })
      servers = await Promise.all([run(), run()])
    })
    afterEach(stopBuiltServers)

    const urlOf = (server: BuiltServer, name = channel) => `${server.url}/api/channel/${name}`
    const numbers = (reader: SSEReader) => reader.data.map(data => (data as { n: number }).n)
    async function onEveryNode<T>(ask: (admin: Redis) => Promise<T>): Promise<T[]> {
      return Promise.all(redis.nodes.map(async ({ url }) => {
        const admin = new Redis(url)
        try {
          return await ask(admin)
        }
        finally {
          admin.disconnect()
        }
      }))
    }

    // @guarantee order-once, stored
    it.each(Array.from({ length: RUNS }, (_, index) => index + 1))('kill -9 of one server costs no reader a message (run %i)', async () => {
      const roamers = Array.from({ length: READERS }, (_, index) => new Roamer(() => servers.map(server => urlOf(server)), index))
      const running = roamers.map(roamer => roamer.run())
      const acknowledged: string[] = []
      let n = 0
      const publishing = servers.map(async (server) => {
        for (let i = 0; i < 150; i++) {
          const id = await publish(server, channel, ++n)
          if (!id) break
          acknowledged.push(id)
        }
      })
      await eventually(() => expect(acknowledged.length).toBeGreaterThan(100))
      await servers[0]!.stop('SIGKILL')
      servers.splice(0, 1)
      await Promise.all(publishing)
      const last = await publish(servers[0]!, channel, ++n)
      await eventually(() => expect(roamers.filter(({ seen }) => seen.at(-1)?.id === last)).toHaveLength(READERS))
      await Promise.all(roamers.map(roamer => roamer.stop()))
      await Promise.all(running)

      const ids = roamers[0]!.seen.map(({ id }) => id)
      expect(ids.map(id => Number(id.split('.')[1]))).toEqual(ids.map((_, index) => index + 1))
      for (const { seen, gaps } of roamers) {
        expect(seen.map(({ id }) => id)).toEqual(ids)
        expect(gaps).toEqual([])
      }
      expect(acknowledged.filter(id => !ids.includes(id))).toEqual([])
      expect(new Set(roamers[0]!.seen.map(one => one.n)).size).toBe(ids.length)
    })

    // @guarantee one-subscription
    it('1,000 readers over 200 channels use two connections a process, and leave no subscription', async () => {
      const readers = await Promise.all(Array.from({ length: 1_000 }, (_, index) => openStream(urlOf(servers[index % 2]!, `${channel}-${index % 200}`))))
      await Promise.all(readers.map(reader => reader.until(r => r.controls.length > 0, 20_000)))
      const connections = async () => Math.max(...await onEveryNode(async (admin) => {
        const clients = (await admin.client('LIST') as string).trim().split('\n')
        // Without this connection, those of replicas, and the short ones that ioredis uses to query a cluster's slots.
        return clients.filter(line => !/cmd=client|flags=S|ioredis-cluster\(refresher\)/.test(line)).length
      }))
      const channels = async () => (await onEveryNode(async admin => [...await admin.pubsub('CHANNELS') as string[], ...await admin.call('PUBSUB', 'SHARDCHANNELS') as string[]]))
        .flat().filter(name => name.startsWith('sse:')).length
      await eventually(async () => expect(await connections()).toBe(2 * servers.length))
      expect(await channels()).toBe(200)
      await Promise.all(readers.map(reader => reader.close()))
      await eventually(async () => expect(await channels()).toBe(0))
      expect(await connections()).toBeLessThanOrEqual(2 * servers.length)
    })

    // @guarantee key-expiry
    it('every key has a TTL', async () => {
      await Promise.all(servers.map((server, index) => publishAgain(server, channel, index)))
      await using reader = await openStream(urlOf(servers[0]!, `${channel}-empty`))
      await reader.until(r => r.controls.length > 0)
      const ttls = (await onEveryNode(async admin => Promise.all((await admin.keys('*')).map(async key => [key, await admin.pttl(key)] as const)))).flat()
      expect(ttls.length).toBeGreaterThan(3)
      expect(ttls.filter(([, ttl]) => ttl <= 0)).toEqual([])
    })

    it('stopped for 5 s: open streams stay and miss nothing, new readers have to wait, a publish is refused in time, and the outage is logged once', async () => {
      const [server] = servers as [BuiltServer]
      await using reader = await openStream(urlOf(server))
      await reader.until(r => r.controls.length > 0)
      const first = await publishAgain(server, channel, 1)
      await reader.until(r => r.data.length === 1)

      for (const node of redis.nodes) node.pause()
      const stopped = performance.now()
      try {
        const [refused, newcomer] = await Promise.all([publish(server, channel, 2), fetch(urlOf(server))])
        expect(performance.now() - stopped).toBeLessThan(PUBLISH_LIMIT_MS)
        expect(refused).toBeUndefined()
        expect(newcomer.status).toBe(503)
        expect(newcomer.headers.get('retry-after')).toMatch(/^\d+$/)
        expect(await newcomer.json()).toMatchObject({ type: 'pending', retryMs: expect.any(Number) })
        while (performance.now() - stopped < 5_000) expect(await publish(server, channel, 2)).toBeUndefined()
      }
      finally {
        for (const node of redis.nodes) node.resume()
      }
      const back = performance.now()
      const third = await publishAgain(server, channel, 3)
      await reader.until(r => numbers(r).includes(3))
      const tookMs = performance.now() - back
      console.log(`${name}: recovered ${Math.round(tookMs)} ms after it was stopped`)
      expect(tookMs).toBeLessThan(LOADED_MS)
      // The refused messages are not in the log.
      expect(reader.messages.map(({ id, data }) => [id, (data as { n: number }).n])).toEqual([[first, 1], [third, 3]])
      expect(reader.controls.map(({ type }) => type)).toEqual(['open'])
      expect(server.output().match(/Publishing fails until it is reachable again/g)).toHaveLength(1)
    })

    // @guarantee stored
    it.each([['with', true], ['without', false]])('killed and restarted %s its data: open streams and a publisher continue', async (_, keepsData) => {
      const [one, two] = servers as [BuiltServer, BuiltServer]
      await using reader = await openStream(urlOf(two))
      const before = await publishAgain(one, channel, 1)
      await publishAgain(one, channel, 2)
      await reader.until(r => r.data.length === 2)

      await Promise.all(redis.nodes.map(node => node.kill()))
      await Promise.all(redis.nodes.map(async (node) => {
        if (!keepsData) await node.wipe()
        await node.start()
      }))
      await redis.ready()
      const back = performance.now()
      await publishAgain(one, channel, 3)
      await reader.until(r => numbers(r).includes(3))
      const tookMs = performance.now() - back
      console.log(`${name}: recovered ${Math.round(tookMs)} ms after it was killed and started again`)
      expect(tookMs).toBeLessThan(LOADED_MS)
      expect(numbers(reader)).toEqual([1, 2, 3])
      expect(reader.controls.map(({ type, reason }) => [type, reason])).toEqual([['open', undefined], ...keepsData ? [] : [['gap', 'epoch']]])
      // A reader that reconnects gets the same.
      await using returned = await openStream(urlOf(one), { headers: { 'last-event-id': before } })
      await returned.until(r => numbers(r).includes(3))
      expect(numbers(returned)).toEqual(keepsData ? [2, 3] : [3])
      expect(returned.controls.map(({ reason }) => reason)).toEqual([undefined, ...keepsData ? [] : ['epoch']])
      for (const server of servers) expect(server.output()).not.toMatch(/unhandled|uncaught/i)
    })

    // @guarantee lost-notice
    it('repeatedly killed connections lose and repeat nothing', async () => {
      const [one, two] = servers as [BuiltServer, BuiltServer]
      await using reader = await openStream(urlOf(two))
      await reader.until(r => r.controls.length > 0)
      const acknowledged: string[] = []
      for (let n = 1; n <= 120; n++) {
        if (n % 15 === 0) await onEveryNode(admin => admin.client('KILL', 'TYPE', n % 30 ? 'normal' : 'pubsub', 'SKIPME', 'yes'))
        const id = await publish(one, channel, n)
        if (id) acknowledged.push(id)
      }
      const last = await publishAgain(one, channel, 121)
      await reader.until(r => r.messages.at(-1)?.id === last, 10_000)
      const ids = reader.messages.map(({ id }) => id)
      expect(ids).toEqual([...new Set(ids)])
      expect(acknowledged.length).toBeGreaterThan(60)
      expect(acknowledged.filter(id => !ids.includes(id))).toEqual([])
      expect(new Set(numbers(reader)).size).toBe(ids.length)
      expect(reader.controls.map(({ type }) => type)).toEqual(['open'])
    })

    it('emptied, or with an evicted key: readers get a gap, and never a wrong message', async () => {
      const [one, two] = servers as [BuiltServer, BuiltServer]
      const admin = await redis.admin(channel)
      const poll = async (position: string) => (await fetch(`${urlOf(one)}?transport=poll&waitMs=0&position=${position}`)).json()
      await using reader = await openStream(urlOf(two))
      for (let n = 1; n <= 3; n++) await publishAgain(one, channel, n)
      await reader.until(r => r.data.length === 3)
      const last = reader.messages.at(-1)!.id!

      // A log without its metadata has lost its epoch.
      await admin.del(`sse:{${channel}}:meta`)
      await publishAgain(one, channel, 4)
      await reader.until(r => r.data.length === 4)
      expect(reader.controls.at(-1)).toMatchObject({ type: 'gap', reason: 'epoch' })

      // The metadata without the log still knows exactly which messages are missing.
      const before = reader.messages.at(-1)!.id!
      for (let n = 5; n <= 7; n++) await publishAgain(one, channel, n)
      await reader.until(r => r.data.length === 7)
      await admin.del(`sse:{${channel}}:log`)
      expect(await poll(before)).toMatchObject({ messages: [], gap: { reason: 'trimmed', missed: 3 } })

      await onEveryNode(admin => admin.flushall())
      await publishAgain(two, channel, 8)
      await reader.until(r => r.data.length === 8)
      expect(reader.controls.at(-1)).toMatchObject({ type: 'gap', reason: 'epoch' })
      expect(numbers(reader)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
      expect((await poll(last)).gap).toMatchObject({ reason: 'epoch' })
      admin.disconnect()
    })
  })
}
