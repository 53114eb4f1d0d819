import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { readState } from '../../src/runtime/server/drivers/capabilities'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { LogClosing, LogDriver } from '../../src/runtime/server/drivers/types'
import { SSEError } from '../../src/runtime/shared/errors'
import { eventually } from '../support/conditions'
import type { Random } from '../support/random'
import { createRandom } from '../support/random'
import { startRedis } from '../support/redis'
import type { TestRedis } from '../support/redis'
import { startSSEServer } from '../support/sse-server'
import type { TestServer } from '../support/sse-server'
import { failOnUnhandledRejections } from '../support/unhandled'

/**
 * Producers count in three processes on one Redis. Each process loses its connection for shorter and longer than the lease, and
 * some answers get lost. The log has each number once and in order, it ends, and no producer keeps running.
 */

failOnUnhandledRejections()

const LEASE_MS = 300
const TOKENS = 80
const CHANNELS = 20 * Number(process.env.SSE_RUNS ?? 1)
const RETENTION = { maxMessages: 10_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }

let redis: TestRedis
let servers: TestServer[]
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
/** A driver that is cut off from its store now and then: a request does not arrive, or its answer is lost. */
interface Process { driver: LogDriver, down: boolean }

function unreliable(random: Random): Process {
  const inner = createRedisDriver({ createClient: settings => new Redis(redis.url, settings), report: () => {} }, RETENTION)
  const away = () => new SSEError('DRIVER_UNAVAILABLE', 'It is away.', { statusCode: 503 })
  const one: Process = { down: false, driver: inner }
  const guard = <A extends unknown[], R>(method: (...args: A) => Promise<R>) => async (...args: A): Promise<R> => {
    // A subscriber whose request fails is not subscribed.
    const subscribes = method === inner.subscribe as unknown
    if (one.down && (subscribes || random.chance(0.5))) throw away()
    const answer = await method(...args)
    if (one.down && !subscribes) throw away()
    return answer
  }
  one.driver = { ...inner, append: guard(inner.append), finish: guard(inner.finish), lease: guard(inner.lease), read: guard(inner.read), subscribe: guard(inner.subscribe) }
  return one
}

let random: Random
let processes: Process[]
let open: number
let runs: number
beforeEach(async () => {
  random = createRandom(Number(process.env.SSE_SEED ?? 1))
  processes = [0, 1, 2].map(() => unreliable(random))
  servers = await Promise.all(processes.map(({ driver }) => startSSEServer({ leaseMs: LEASE_MS, shutdownMs: 20, retention: RETENTION }, driver)))
  open = runs = 0
})
afterEach(() => Promise.all(servers.map(server => server.close())))

async function* count(from: number, signal: AbortSignal) {
  runs++
  open++
  try {
    for (let n = from + 1; n <= TOKENS; n++) {
      yield n
      await sleep(random.int(20), undefined, { signal }).catch(() => {})
    }
  }
  finally {
    open--
  }
}

const run = (server: TestServer, name: string, onLost: 'fail' | 'restart') => server.channel(name).run(({ offset, signal }) => count(offset, signal), { onLost })

/** Cuts the processes off, again and again, for random times, while `meanwhile` runs. */
async function disturbed(meanwhile: (isOver: () => boolean) => Promise<unknown>[], until: () => Promise<void>): Promise<void> {
  let over = false
  const all = [...meanwhile(() => over), ...processes.map(async (one) => {
    while (!over) {
      await sleep(random.int(400))
      one.down = !over
      await sleep(random.int(random.pick([50, 200, 800])))
      one.down = false
    }
  })]
  try {
    await until()
  }
  finally {
    over = true
    await Promise.all(all)
  }
}

const stateOf = (name: string) => readState(servers[0]!.context.driver, name).catch(() => undefined)
const numbersOf = async (name: string) => (await servers[0]!.context.driver.read(name, 0, { messages: 10_000, bytes: 1e9 })).entries.map(({ data }) => Number(data))
const range = (to: number) => Array.from({ length: to }, (_, index) => index + 1)
const ended = (names: string[], how: (closing: LogClosing) => boolean) => vi.waitFor(async () => {
  const states = await Promise.all(names.map(stateOf))
  expect(states.filter(state => state?.closing && how(state.closing))).toHaveLength(names.length)
}, { timeout: 60_000, interval: 50 })
const nobodyGoesOn = () => eventually(() => expect([open, ...servers.map(({ context }) => context.producers.size)]).toEqual([0, 0, 0, 0]))

it('any outages, lost answers and restarts give each number once, in order, and then the end', async () => {
  const names = Array.from({ length: CHANNELS }, (_, index) => `restart ${index}`)
  for (const name of names) {
    for (const server of random.shuffle(servers)) await run(server, name, 'restart')
  }
  // When all three were cut off at once for too long, the next caller continues the run, as a reconnecting reader would.
  const call = async (isOver: () => boolean) => {
    while (!isOver()) {
      await sleep(100)
      for (const name of names) await run(random.pick(servers), name, 'restart').catch(() => {})
    }
  }
  await disturbed(isOver => [call(isOver)], () => ended(names, ({ error }) => !error))
  for (const name of names) expect(await numbersOf(name), name).toEqual(range(TOKENS))
  console.log(`${runs} runs for ${CHANNELS} channels`)
  expect(runs).toBeGreaterThan(CHANNELS)
  await nobodyGoesOn()
}, 90_000)

it('any outages, lost answers and stops leave a log without holes, and every channel and every stop ends', async () => {
  const names = Array.from({ length: CHANNELS }, (_, index) => `fail ${index}`)
  await Promise.all(names.map((name, index) => run(servers[index % 3]!, name, 'fail')))
  const stop = async (name: string) => {
    await sleep(random.int(1_000))
    // Fails while the store is unavailable, and is repeated.
    while (await random.pick(servers).channel(name).stop().then(() => false, () => true)) await sleep(50)
    expect((await stateOf(name))?.lease).toBeUndefined()
  }
  await disturbed(() => names.filter((_, index) => index % 2).map(stop), () => ended(names, () => true))
  const codes: Record<string, number> = {}
  for (const name of names) {
    const numbers = await numbersOf(name)
    expect(numbers, name).toEqual(range(numbers.length))
    const code = (await stateOf(name))!.closing!.error?.code ?? 'complete'
    codes[code] = (codes[code] ?? 0) + 1
    expect(numbers.length === TOKENS || code !== 'complete').toBe(true)
  }
  console.log(codes)
  expect(['ABORTED', 'PRODUCER_LOST', 'complete']).toEqual(expect.arrayContaining(Object.keys(codes)))
  expect(runs).toBe(CHANNELS)
  await nobodyGoesOn()
}, 90_000)
