import process from 'node:process'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { SSEReader } from '../support/read-sse'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'

const READERS = 50

let redis: TestRedis
let servers: BuiltServer[]
let channel: string
let names = 0

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  channel = `c${++names}`
  servers = await Promise.all([start(), start()])
})
afterEach(stopBuiltServers)

// A url alone selects redis, at run time.
const start = () => startBuiltServer('basic', { env: { NUXT_SSE_REDIS_URL: redis.url } })

async function publish(server: BuiltServer, n: number): Promise<string | undefined> {
  try {
    const response = await fetch(`${server.url}/api/publish/${channel}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ n }), signal: AbortSignal.timeout(10_000) })
    return response.ok ? (await response.json() as { id: string }).id : undefined
  }
  catch {
    return undefined
  }
}

/** A reader that goes on at whichever server is there, behind the last id it had. */
class Roamer {
  readonly seen: { id: string, n: number }[] = []
  readonly gaps: unknown[] = []
  #stopped = false
  #reader?: SSEReader

  constructor(private at: number) {}

  async run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const lastId = this.seen.at(-1)?.id
        this.#reader = await SSEReader.open(`${servers[this.at % servers.length]!.url}/api/channel/${channel}`, { headers: lastId ? { 'last-event-id': lastId } : {} })
        const reader = this.#reader
        if (reader.status !== 200) throw new Error(String(reader.status))
        while (!this.#stopped) {
          const had = this.count(reader)
          const over = await Promise.race([reader.until(r => this.count(r) > had, 60_000).then(() => false, () => true), reader.finished.then(() => true)])
          this.take(reader)
          if (over) break
        }
      }
      catch {
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      this.at++
    }
  }

  private taken = new WeakMap<SSEReader, number>()
  private count = (reader: SSEReader) => reader.messages.length
  private take(reader: SSEReader): void {
    const { messages } = reader
    for (const { id, data } of messages.slice(this.taken.get(reader) ?? 0)) this.seen.push({ id: id!, n: (data as { n: number }).n })
    this.taken.set(reader, messages.length)
    this.gaps.push(...reader.controls.filter(({ type }) => type === 'gap'))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#reader?.close()
  }
}

describe('two servers and one Redis', () => {
  it('promises 1 and 2: kill -9 of one server costs nobody a message', async () => {
    const roamers = Array.from({ length: READERS }, (_, index) => new Roamer(index))
    const running = roamers.map(roamer => roamer.run())
    const acknowledged: string[] = []
    let n = 0
    const publishing = servers.map(async (server) => {
      for (let i = 0; i < 150; i++) {
        const id = await publish(server, ++n)
        if (id) acknowledged.push(id)
        else break
      }
    })
    await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(100), { timeout: 20_000, interval: 5 })
    await servers[0]!.stop('SIGKILL')
    servers.splice(0, 1)
    await Promise.all(publishing)
    const last = await publish(servers[0]!, ++n)
    await vi.waitFor(() => expect(roamers.filter(({ seen }) => seen.at(-1)?.id === last)).toHaveLength(READERS), { timeout: 20_000, interval: 20 })
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
  }, 60_000)

  it('uses two connections a process, whatever is read, and leaves no subscription', async () => {
    const readers = await Promise.all(Array.from({ length: 300 }, (_, index) => SSEReader.open(`${servers[index % 2]!.url}/api/channel/${channel}-${index % 60}`)))
    await Promise.all(readers.map(reader => reader.until(r => r.controls.length > 0)))
    const admin = new Redis(redis.url)
    try {
      const clients = async () => (await admin.client('LIST') as string).trim().split('\n').length - 1
      expect(await clients()).toBe(2 * servers.length)
      expect(await admin.pubsub('CHANNELS')).toHaveLength(60)
      await Promise.all(readers.map(reader => reader.close()))
      await vi.waitFor(async () => expect(await admin.pubsub('CHANNELS')).toEqual([]))
      expect(await clients()).toBe(2 * servers.length)
      for (const key of await admin.keys('*')) expect(await admin.pttl(key), key).toBeGreaterThan(0)
    }
    finally {
      admin.disconnect()
    }
  })
})

describe('a Redis that goes away', () => {
  it('stopped for a while: open streams stay and miss nothing, newcomers are told to wait, publishing is refused in time', async () => {
    const [server] = servers as [BuiltServer]
    await using reader = await SSEReader.open(`${server.url}/api/channel/${channel}`)
    await reader.until(r => r.controls.length > 0)
    const first = await publish(server, 1)
    await reader.until(r => r.data.length === 1)

    process.kill(redis.pid, 'SIGSTOP')
    const started = performance.now()
    const [refused, newcomer] = await Promise.all([publish(server, 2), fetch(`${server.url}/api/channel/${channel}`)])
    expect(refused).toBeUndefined()
    expect(newcomer.status).toBe(503)
    expect(newcomer.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await newcomer.json()).toMatchObject({ type: 'pending', retryMs: expect.any(Number) })
    expect(performance.now() - started).toBeLessThan(8_000)
    process.kill(redis.pid, 'SIGCONT')

    const back = performance.now()
    let third: string | undefined
    await vi.waitFor(async () => expect(third = await publish(server, 3)).toBeDefined(), { timeout: 5_000, interval: 50 })
    await reader.until(r => r.data.some(data => (data as { n: number }).n === 3))
    console.log(`recovered ${Math.round(performance.now() - back)} ms after Redis`)
    expect(performance.now() - back).toBeLessThan(3_000)
    // What was refused has not happened behind everybody's back.
    expect(reader.messages.map(({ id, data }) => [id, (data as { n: number }).n])).toEqual([[first, 1], [third, 3]])
    expect(reader.controls.map(({ type }) => type)).toEqual(['open'])
  }, 30_000)

  it('killed and begun anew without its data, under open streams: a gap says so, and it goes on', async () => {
    const [one, two] = servers as [BuiltServer, BuiltServer]
    await using reader = await SSEReader.open(`${two.url}/api/channel/${channel}`)
    await publish(one, 1)
    await reader.until(r => r.data.length === 1)
    await redis.stop()
    redis = await startRedis({ port: redis.port })
    const back = performance.now()
    await vi.waitFor(async () => expect(await publish(one, 2)).toBeDefined(), { timeout: 5_000, interval: 20 })
    await reader.until(r => r.data.length === 2)
    expect(performance.now() - back).toBeLessThan(3_000)
    expect(reader.controls.map(({ type, reason }) => [type, reason])).toEqual([['open', undefined], ['gap', 'epoch']])
    expect(one.output()).not.toMatch(/unhandled|uncaught/i)
  }, 30_000)

  it('its connections killed, again and again: nothing is lost or repeated', async () => {
    const [one, two] = servers as [BuiltServer, BuiltServer]
    await using reader = await SSEReader.open(`${two.url}/api/channel/${channel}`)
    await reader.until(r => r.controls.length > 0)
    const admin = new Redis(redis.url)
    const acknowledged: string[] = []
    for (let n = 1; n <= 120; n++) {
      if (n % 15 === 0) await admin.client('KILL', 'TYPE', n % 30 ? 'normal' : 'pubsub', 'SKIPME', 'yes')
      const id = await publish(one, n)
      if (id) acknowledged.push(id)
    }
    admin.disconnect()
    await reader.until(r => r.messages.at(-1)?.id === acknowledged.at(-1), 10_000)
    const ids = reader.messages.map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)])
    expect(acknowledged.filter(id => !ids.includes(id))).toEqual([])
    expect(new Set(reader.data.map(data => (data as { n: number }).n)).size).toBe(ids.length)
    expect(reader.controls.map(({ type }) => type)).toEqual(['open'])
  }, 30_000)

  it('emptied, or with one of its keys evicted: a gap, and never a wrong message', async () => {
    const [one, two] = servers as [BuiltServer, BuiltServer]
    const admin = new Redis(redis.url)
    await using reader = await SSEReader.open(`${two.url}/api/channel/${channel}`)
    for (let n = 1; n <= 3; n++) await publish(one, n)
    await reader.until(r => r.data.length === 3)
    const last = reader.messages.at(-1)!.id!

    // The log without its meta data is a log whose epoch is lost.
    await admin.del(`sse:{${channel}}:meta`)
    await publish(one, 4)
    await reader.until(r => r.data.length === 4)
    expect(reader.controls.at(-1)).toMatchObject({ type: 'gap', reason: 'epoch' })

    // The meta data without the log knows exactly what is missing.
    const before = reader.messages.at(-1)!.id!
    for (let n = 5; n <= 7; n++) await publish(one, n)
    await reader.until(r => r.data.length === 7)
    await admin.del(`sse:{${channel}}:log`)
    const batch = await (await fetch(`${one.url}/api/channel/${channel}?transport=poll&waitMs=0&position=${before}`)).json()
    expect(batch).toMatchObject({ messages: [], gap: { reason: 'trimmed', missed: 3 } })

    await admin.flushall()
    await publish(two, 8)
    await reader.until(r => r.data.length === 8)
    expect(reader.controls.at(-1)).toMatchObject({ type: 'gap', reason: 'epoch' })
    expect(reader.data.map(data => (data as { n: number }).n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    const returned = await (await fetch(`${one.url}/api/channel/${channel}?transport=poll&waitMs=0&position=${last}`)).json()
    expect(returned.gap).toMatchObject({ reason: 'epoch' })
    admin.disconnect()
  }, 30_000)
})
