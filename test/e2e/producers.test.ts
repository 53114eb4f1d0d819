import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually, LOADED_MS } from '../support/conditions'
import { createRandom } from '../support/random'
import type { Random } from '../support/random'
import { SSEReader } from '../support/read-sse'
import { startSingle } from '../support/redis'
import type { TestTopology } from '../support/redis'

/** For tests in which a producer is lost. */
const LEASE_MS = 3_000
/** Outlives a restart of Redis, and all stalls of a loaded machine. */
const LONG_LEASE_MS = 15_000
const WINDOW_MS = 3_000
/** Longer than any client of a loaded machine takes to reconnect. */
const LONG_WINDOW_MS = 30_000
const CLIENTS = 50
const CUTS = 1_000 * Number(process.env.SSE_RUNS ?? 1)
const TOKENS = 400

let redis: TestTopology
let servers: BuiltServer[]
let names = 0
let channel: string
beforeAll(async () => {
  redis = await startSingle()
}, 60_000)
afterAll(() => redis.stop())
beforeEach(async () => {
  channel = `run${++names}`
  await start(LONG_LEASE_MS, LONG_WINDOW_MS)
})
afterEach(stopBuiltServers)

async function start(leaseMs: number, windowMs: number): Promise<void> {
  await stopBuiltServers()
  const run = () => startBuiltServer('basic', { env: { ...redis.env, NUXT_SSE_LEASE_MS: String(leaseMs), RESUME_WINDOW_MS: String(windowMs) } })
  servers = await Promise.all([run(), run()])
}

interface Produced { started: number, released: number, open: number }
const produced = async (server: BuiltServer) => (await fetch(`${server.url}/api/produced`)).json() as Promise<Produced>
const sum = async () => (await Promise.all(servers.map(produced))).reduce((all, one) => ({ started: all.started + one.started, released: all.released + one.released, open: all.open + one.open }))
const numbers = ({ data }: SSEReader) => data.map(item => (item as { n: number }).n)
const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)

/** One client of the resumable route that is cut off again and again, and reconnects over either transport, anywhere. */
class Client {
  readonly seen: number[] = []
  readonly gaps: unknown[] = []
  cuts = 0
  ended = false
  #position?: string

  constructor(private readonly random: Random) {}

  async read(cutAfterMs?: number): Promise<void> {
    const url = `${this.random.pick(servers).url}/api/resumable?to=${TOKENS}&everyMs=20`
    // A poll is never the first: a client that is cut off before it has a position is another client.
    if (this.#position && this.random.chance(0.25)) await this.#poll(`${url}&transport=poll&position=${this.#position}`, cutAfterMs)
    else await this.#stream(url, cutAfterMs)
    if (cutAfterMs !== undefined && !this.ended) this.cuts++
  }

  async #stream(url: string, cutAfterMs = 60_000): Promise<void> {
    const reader = await SSEReader.open(url, { headers: this.#position ? { 'last-event-id': this.#position } : {} })
    if (reader.status === 204) return void (this.ended = true)
    await reader.until(({ controls }) => controls.length > 0, 20_000)
    const timer = setTimeout(() => void reader.close(), cutAfterMs)
    await reader.finished
    clearTimeout(timer)
    for (const { id, event, data } of reader.events) {
      if (id) this.#position = id
      const value = JSON.parse(data)
      if (event !== 'sse') this.seen.push(value.n)
      else if (value.type === 'gap' || value.type === 'error') this.gaps.push(value)
      else if (value.type === 'end') this.ended = true
    }
  }

  async #poll(url: string, cutAfterMs = 60_000): Promise<void> {
    try {
      const batch = await (await fetch(url, { signal: AbortSignal.timeout(cutAfterMs) })).json() as { messages: { data: { n: number } }[], position: string, ended: boolean, gap: unknown }
      this.seen.push(...batch.messages.map(({ data }) => data.n))
      this.#position = batch.position
      this.ended = batch.ended
      if (batch.gap) this.gaps.push(batch.gap)
    }
    catch {
      // Cut before the answer was there: requested again from the same position.
    }
  }
}

describe('producers on two servers and one Redis', () => {
  // @guarantee order-once
  it(`${CUTS} random cuts, over both transports: one generator for each client, no token lost, none twice, none left running`, async () => {
    const random = createRandom(6)
    const clients = Array.from({ length: CLIENTS }, (_, index) => new Client(createRandom(index + 1)))
    const abandoning = clients.slice(0, CLIENTS / 5)
    let left = CUTS
    await Promise.all(clients.map(async (client) => {
      while (!client.ended && left-- > 0) await client.read(random.int(300))
      while (!client.ended && !abandoning.includes(client)) await client.read()
    }))
    const cuts = clients.reduce((all, client) => all + client.cuts, 0)
    console.log(`${cuts} cuts, ${clients.filter(({ ended }) => ended).length} of ${CLIENTS} read to their end`)
    for (const client of clients) {
      expect(client.gaps).toEqual([])
      expect(client.seen).toEqual(range(1, client.seen.length))
      if (!abandoning.includes(client)) expect(client.seen).toHaveLength(TOKENS)
    }
    await eventually(async () => expect(await sum()).toEqual({ started: CLIENTS, released: CLIENTS, open: 0 }), TOKENS * 20 + LONG_WINDOW_MS)
    expect(cuts).toBeGreaterThanOrEqual(CUTS * 0.9)
  }, 120_000)

  it('generators without a reader are aborted after their window, also when the server of their last reader was killed', async () => {
    await start(LEASE_MS, WINDOW_MS)
    const url = (server: BuiltServer) => `${server.url}/api/resumable?to=100000&everyMs=10`
    const first = await Promise.all(range(1, 5).map(() => SSEReader.open(url(servers[0]!))))
    await Promise.all(first.map(reader => reader.until(({ data }) => data.length > 2)))
    await Promise.all(first.map(reader => reader.close()))
    const moved = await Promise.all(first.map(reader => SSEReader.open(url(servers[1]!), { headers: { 'last-event-id': reader.messages.at(-1)!.id! } })))
    await Promise.all(moved.map(reader => reader.until(({ data }) => data.length > 2)))
    expect(await produced(servers[0]!)).toMatchObject({ started: 5, open: 5 })
    const killedAt = performance.now()
    await servers[1]!.stop('SIGKILL')
    await eventually(async () => expect(await produced(servers[0]!)).toEqual({ started: 5, released: 5, open: 0 }))
    expect(performance.now() - killedAt).toBeLessThan(WINDOW_MS + LEASE_MS + LOADED_MS)
  })

  it('100 simultaneous callers of `run` start one producer; kill -9 of its process: all readers receive the loss within two lease times', async () => {
    await start(LEASE_MS, WINDOW_MS)
    const readers = await Promise.all(range(1, 100).map(n => SSEReader.open(`${servers[n % 2]!.url}/api/run/${channel}?to=100000&everyMs=20`)))
    await Promise.all(readers.map(reader => reader.until(({ data }) => data.length > 5, 20_000)))
    expect(await sum()).toMatchObject({ started: 1, open: 1 })
    const at = (await Promise.all(servers.map(produced))).findIndex(({ open }) => open === 1)
    const other = servers[1 - at]!
    const killedAt = performance.now()
    await servers[at]!.stop('SIGKILL')
    const told = await Promise.all(readers.map(async (reader, index) => {
      // Readers of the killed process reconnect elsewhere, as every client does.
      const back = (index + 1) % 2 === at ? await SSEReader.open(`${other.url}/api/run/${channel}`, { headers: { 'last-event-id': reader.messages.at(-1)!.id! } }) : reader
      await back.until(({ controls }) => controls.at(-1)?.type === 'error')
      const seen = back === reader ? numbers(reader) : [...numbers(reader), ...numbers(back)]
      return { seen, error: back.controls.at(-1), gaps: back.controls.filter(({ type }) => type === 'gap') }
    }))
    const tookMs = performance.now() - killedAt
    console.log(`100 readers told ${Math.round(tookMs)} ms after kill -9, with a lease of ${LEASE_MS} ms`)
    expect(tookMs).toBeLessThan(2 * LEASE_MS + LOADED_MS)
    for (const { seen, error, gaps } of told) {
      expect(error).toMatchObject({ code: 'PRODUCER_LOST', retry: false })
      expect(gaps).toEqual([])
      expect(seen).toEqual(range(1, told[0]!.seen.length))
    }
    expect((await produced(other)).started).toBe(0)
  })

  it('kill -9 of the instance that serves the viewer, and not of the producer\'s: the viewer resumes at the other', async () => {
    await using first = await SSEReader.open(`${servers[0]!.url}/api/run/${channel}?to=150&everyMs=10`)
    await first.until(({ data }) => data.length > 5)
    const reader = await SSEReader.open(`${servers[1]!.url}/api/run/${channel}`)
    await reader.until(({ data }) => data.length > 10)
    await servers[1]!.stop('SIGKILL')
    await using back = await SSEReader.open(`${servers[0]!.url}/api/run/${channel}`, { headers: { 'last-event-id': reader.messages.at(-1)!.id! } })
    await back.until(({ controls }) => controls.at(-1)?.type === 'end')
    expect([...numbers(reader), ...numbers(back)]).toEqual(range(1, 150))
    expect(await produced(servers[0]!)).toMatchObject({ started: 1 })
  })

  it('`restart`: a process whose reader called `run` resumes where the killed one was, and readers notice only the pause', async () => {
    await start(LEASE_MS, WINDOW_MS)
    const query = `to=150&everyMs=20&onLost=restart`
    const readers = await Promise.all(servers.map(server => SSEReader.open(`${server.url}/api/run/${channel}?${query}`)))
    await Promise.all(readers.map(reader => reader.until(({ data }) => data.length > 5)))
    const at = (await Promise.all(servers.map(produced))).findIndex(({ open }) => open === 1)
    const [other, reader] = [servers[1 - at]!, readers[1 - at]!]
    await servers[at]!.stop('SIGKILL')
    await reader.until(({ controls }) => controls.at(-1)?.type === 'end')
    expect(numbers(reader)).toEqual(range(1, 150))
    expect(reader.controls.map(({ type }) => type)).toEqual(['open', 'end'])
    expect(await produced(other)).toMatchObject({ started: 1, released: 1, open: 0 })
  })

  it('a producer that was paused for longer than its lease appends nothing when it wakes up', async () => {
    await start(LEASE_MS, WINDOW_MS)
    await using reader = await SSEReader.open(`${servers[0]!.url}/api/run/${channel}?to=100000&everyMs=10`)
    await using other = await SSEReader.open(`${servers[1]!.url}/api/run/${channel}`)
    await other.until(({ data }) => data.length > 5)
    process.kill(servers[0]!.pid, 'SIGSTOP')
    await other.until(({ controls }) => controls.at(-1)?.type === 'error')
    const seen = numbers(other)
    process.kill(servers[0]!.pid, 'SIGCONT')
    await eventually(async () => expect(await produced(servers[0]!)).toMatchObject({ open: 0, released: 1 }))
    const { messages, error } = await (await fetch(`${servers[1]!.url}/api/run/${channel}?transport=poll`)).json() as { messages: unknown[], error: unknown }
    expect(messages).toHaveLength(seen.length)
    expect(error).toMatchObject({ code: 'PRODUCER_LOST' })
    await reader.until(({ controls }) => controls.at(-1)?.type === 'error')
    expect(numbers(reader)).toEqual(range(1, seen.length))
  })

  it('a stop works on the instance that does not produce', async () => {
    await using reader = await SSEReader.open(`${servers[0]!.url}/api/run/${channel}?to=100000&everyMs=10`)
    await reader.until(({ data }) => data.length > 5)
    const info = await (await fetch(`${servers[1]!.url}/api/run/${channel}`, { method: 'DELETE' })).json()
    expect(info).toMatchObject({ ended: true, running: false, error: { code: 'ABORTED' } })
    await reader.until(({ controls }) => controls.at(-1)?.type === 'error')
    expect(reader.controls.at(-1)).toMatchObject({ code: 'ABORTED', retry: false })
    await eventually(async () => expect(await produced(servers[0]!)).toEqual({ started: 1, released: 1, open: 0 }))
  })

  it('a shutdown during a run: readers elsewhere receive the end at once', async () => {
    await using reader = await SSEReader.open(`${servers[0]!.url}/api/run/${channel}?to=100000&everyMs=10`)
    await reader.until(({ data }) => data.length > 5)
    await using other = await SSEReader.open(`${servers[1]!.url}/api/run/${channel}`)
    await other.until(({ data }) => data.length > 5)
    const { code, ms } = await servers[0]!.stop('SIGTERM')
    await other.until(({ controls }) => controls.at(-1)?.type === 'error')
    expect(other.controls.at(-1)).toMatchObject({ code: 'SHUTTING_DOWN', retry: false })
    expect(code).toBe(0)
    expect(ms).toBeLessThan(LOADED_MS)
  })

  describe('with a lease that outlives the outage', () => {
    it.each([
      ['stopped for less than the lease', async () => {
        for (const node of redis.nodes) node.pause()
        // The wait is the tested behaviour: an outage of this length.
        await new Promise(resolve => setTimeout(resolve, LEASE_MS / 2))
        for (const node of redis.nodes) node.resume()
      }],
      ['killed, and started again at once', async () => {
        for (const node of redis.nodes) {
          await node.kill()
          await node.start()
        }
      }],
    ])('Redis %s under a run and a resumable generator: readers get each token, once', async (_, disturb) => {
      // Otherwise it writes a moment later, and a kill loses acknowledged messages: a gap, as it should be.
      const admin = await redis.admin(channel)
      await admin.config('SET', 'appendfsync', 'always')
      admin.disconnect()
      const readers = await Promise.all([`run/${channel}`, 'resumable'].flatMap(route => servers.slice(0, route === 'resumable' ? 1 : 2).map(server => SSEReader.open(`${server.url}/api/${route}?to=150&everyMs=10`))))
      await Promise.all(readers.map(reader => reader.until(({ data }) => data.length > 20)))
      await disturb()
      await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.at(-1)?.type === 'end')))
      for (const reader of readers) {
        expect(reader.controls.map(({ type }) => type)).toEqual(['open', 'end'])
        expect(numbers(reader)).toEqual(range(1, 150))
      }
      expect(await sum()).toEqual({ started: 2, released: 2, open: 0 })
    })

    it('Redis killed, and started again with nothing, under a run and a resumable generator: a gap, later messages, and the end', async () => {
      const readers = await Promise.all([`run/${channel}`, 'resumable'].flatMap(route => servers.slice(0, route === 'resumable' ? 1 : 2).map(server => SSEReader.open(`${server.url}/api/${route}?to=150&everyMs=10`))))
      await Promise.all(readers.map(reader => reader.until(({ data }) => data.length > 20)))
      for (const node of redis.nodes) {
        await node.kill()
        await node.wipe()
        await node.start()
      }
      await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.at(-1)?.type === 'end')))
      for (const reader of readers) {
        expect(reader.controls.map(({ type }) => type)).toEqual(['open', 'gap', 'end'])
        expect(reader.controls[1]).toMatchObject({ reason: 'epoch' })
        const seen = numbers(reader)
        expect(seen.at(-1)).toBe(150)
        expect(seen.every((n, index) => index === 0 || n > seen[index - 1]!)).toBe(true)
      }
      expect(await sum()).toEqual({ started: 2, released: 2, open: 0 })
    })
  })

  it('Redis stopped for longer than the lease: readers receive the loss as soon as it is up, and none hangs', async () => {
    await start(LEASE_MS, WINDOW_MS)
    const readers = await Promise.all(servers.map(server => SSEReader.open(`${server.url}/api/run/${channel}?to=100000&everyMs=10`)))
    await Promise.all(readers.map(reader => reader.until(({ data }) => data.length > 5)))
    for (const node of redis.nodes) node.pause()
    // The producer gives up when its lease is over.
    await eventually(async () => expect(await sum()).toMatchObject({ started: 1, open: 0 }))
    for (const node of redis.nodes) node.resume()
    await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.at(-1)?.type === 'error')))
    for (const reader of readers) expect(reader.controls.at(-1)).toMatchObject({ code: 'PRODUCER_LOST' })
    await eventually(async () => expect(await sum()).toEqual({ started: 1, released: 1, open: 0 }))
  })

  it('a viewer that never connected: the whole stream of a provider is there for a late reader, on the other instance', async () => {
    const stub = createServer((_, response) => {
      response.setHeader('content-type', 'text/event-stream')
      let n = 0
      const timer = setInterval(() => {
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: `token ${++n} ` } }] })}\n\n`)
        if (n < 20) return
        clearInterval(timer)
        response.end('data: [DONE]\n\n')
      }, 5)
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => stub.once('listening', resolve))
    const url = `http://127.0.0.1:${(stub.address() as AddressInfo).port}/v1/chat/completions`
    await fetch(`${servers[0]!.url}/api/pipe/${channel}?url=${encodeURIComponent(url)}`, { method: 'POST' })
    await eventually(async () => expect(await sum()).toMatchObject({ open: 0 }))
    await using reader = await SSEReader.open(`${servers[1]!.url}/api/channel/${channel}`)
    await reader.until(({ controls }) => controls.at(-1)?.type === 'end')
    expect(reader.data.map(item => (item as { choices: [{ delta: { content: string } }] }).choices[0].delta.content)).toEqual(range(1, 20).map(n => `token ${n} `))
    stub.close()
  })
})
