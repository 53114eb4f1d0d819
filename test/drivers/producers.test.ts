import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis'
import type { LogDriver } from '../../src/runtime/server/drivers/types'
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
 * Producers that count, in three processes on one Redis, each of which is cut off from it for shorter and longer than the lease, and
 * does not always hear what became of what it asked for: in the end the log has each number once, in order, and nobody goes on.
 */

failOnUnhandledRejections()

const LEASE_MS = 300
const TOKENS = 80
const CHANNELS = 20 * Number(process.env.SSE_RUNS ?? 1)
const RETENTION = { maxMessages: 10_000, maxAgeMs: 3_600_000 }

let redis: TestRedis
let servers: TestServer[]
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
afterEach(() => Promise.all(servers.map(server => server.close())))

/** Cut off from its store now and then: what is asked did not arrive, or its answer was lost. */
interface Process { driver: LogDriver, down: boolean }

function unreliable(random: Random): Process {
  const inner = createRedisDriver({ createClient: settings => new Redis(redis.url, settings), report: () => {} }, RETENTION)
  const away = () => new SSEError('DRIVER_UNAVAILABLE', 'It is away.', { statusCode: 503 })
  const one: Process = { down: false, driver: inner }
  const guard = <A extends unknown[], R>(method: (...args: A) => Promise<R>) => async (...args: A): Promise<R> => {
    // Whoever is told that it is not subscribed is not.
    const subscribes = method === inner.subscribe as unknown
    if (one.down && (subscribes || random.chance(0.5))) throw away()
    const answer = await method(...args)
    if (one.down && !subscribes) throw away()
    return answer
  }
  one.driver = { ...inner, append: guard(inner.append), finish: guard(inner.finish), lease: guard(inner.lease), state: guard(inner.state), read: guard(inner.read), subscribe: guard(inner.subscribe) }
  return one
}

it('any outages, any lost answers, restarts: each number once, in order, and then the end', async () => {
  const random = createRandom(Number(process.env.SSE_SEED ?? 1))
  const processes = [0, 1, 2].map(() => unreliable(random))
  servers = await Promise.all(processes.map(({ driver }) => startSSEServer({ leaseMs: LEASE_MS, shutdownMs: 20, retention: RETENTION }, driver)))
  let open = 0
  let runs = 0
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
  const names = Array.from({ length: CHANNELS }, (_, index) => `chaos ${index}`)
  for (const name of names) {
    for (const server of random.shuffle(servers)) await server.channel(name).run(({ offset, signal }) => count(offset, signal), { onLost: 'restart' })
  }
  expect(runs).toBe(CHANNELS)
  let over = false
  const disturbing = Promise.all(processes.map(async (one) => {
    while (!over) {
      await sleep(random.int(400))
      one.down = !over
      await sleep(random.int(random.pick([50, 200, 800])))
      one.down = false
    }
  }))
  const reader = servers[0]!.context.driver
  const stateOf = (name: string) => reader.state(name).catch(() => undefined)
  const endedOf = async () => (await Promise.all(names.map(stateOf))).filter(state => state?.closing && !state.closing.error).length
  // Where all three were cut off at once for too long, the next caller goes on, as a reader who comes back is.
  const calling = (async () => {
    while (!over) {
      await sleep(100)
      for (const name of names) await random.pick(servers).channel(name).run(({ offset, signal }) => count(offset, signal), { onLost: 'restart' }).catch(() => {})
    }
  })()
  try {
    await vi.waitFor(async () => expect(await endedOf()).toBe(CHANNELS), { timeout: 60_000, interval: 50 })
  }
  finally {
    over = true
    await Promise.all([disturbing, calling])
  }
  for (const name of names) {
    const { entries, epoch } = await reader.read(name, 0, { messages: 10_000, bytes: 1e9 })
    expect(entries.map(({ data }) => Number(data)), `${name} ${epoch}`).toEqual(Array.from({ length: TOKENS }, (_, index) => index + 1))
  }
  console.log(`${runs} runs for ${CHANNELS} channels`)
  expect(runs).toBeGreaterThan(CHANNELS)
  await eventually(() => expect([open, ...servers.map(({ context }) => context.producers.size)]).toEqual([0, 0, 0, 0]))
}, 90_000)
