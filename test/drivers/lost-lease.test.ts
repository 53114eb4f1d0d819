import { Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { CreateRedisClient } from '../../src/runtime/server/drivers/redis/connection/client'
import type { LogOnLost } from '../../src/runtime/server/drivers/types'
import type { SSEError } from '../../src/runtime/shared/errors'
import { eventually } from '../support/conditions'
import { startRedis } from '../support/redis'
import type { TestRedis } from '../support/redis'
import { startSSEServer } from '../support/sse-server'
import type { TestServer } from '../support/sse-server'
import { failOnUnhandledRejections } from '../support/unhandled'

/** Redis grants a lease, and its answer never arrives. */

failOnUnhandledRejections()

const RETENTION = { maxMessages: 1_000, maxAgeMs: 60_000, maxBytes: 67_108_864 }
const LEASE_MS = 600
const TIMEOUT_MS = 300

let redis: TestRedis
const servers: TestServer[] = []
beforeAll(async () => {
  redis = await startRedis()
})
afterEach(() => Promise.all(servers.splice(0).map(server => server.close())))
afterAll(() => redis.stop())

/** A process on Redis. `around` receives each of its lease requests, with its number. */
async function start(around: (ask: () => Promise<string[]>, number: number) => Promise<string[]> = ask => ask()): Promise<TestServer> {
  const createClient: CreateRedisClient = (settings: RedisOptions) => {
    const client = new Redis(redis.url, settings) as Redis & { sseLease(...args: unknown[]): Promise<string[]> }
    const define = client.defineCommand.bind(client)
    let number = 0
    client.defineCommand = (name, definition) => {
      define(name, definition)
      if (name !== 'sseLease') return
      const real = client.sseLease.bind(client)
      client.sseLease = (...args) => around(() => real(...args), ++number)
    }
    return client
  }
  const server = await startSSEServer({ leaseMs: LEASE_MS, shutdownMs: 20 }, createRedisDriver({ createClient, timeoutMs: TIMEOUT_MS, report: () => {} }, RETENTION))
  servers.push(server)
  return server
}

const code = (promise: Promise<unknown>) => promise.then(() => 'resolved', (error: SSEError) => error.code)
const lose = async (ask: () => Promise<string[]>): Promise<string[]> => {
  await ask()
  throw new Error('Connection is closed.')
}
const refuse = () => Promise.reject<string[]>(new Error('Connection is closed.'))

it.each<[LogOnLost, string, (ask: () => Promise<string[]>, number: number) => Promise<string[]>]>([
  ['fail', 'once', (ask, number) => number === 1 ? lose(ask) : ask()],
  ['restart', 'once', (ask, number) => number === 1 ? lose(ask) : ask()],
  ['fail', 'and nothing arrives after that', (ask, number) => number === 1 ? lose(ask) : refuse()],
  ['restart', 'and nothing arrives after that', (ask, number) => number === 1 ? lose(ask) : refuse()],
  ['fail', 'each time', lose],
])('the job completes, here or in the next run elsewhere: %s, %s', async (onLost, what, around) => {
  const [first, second] = [await start(around), await start()]
  const name = `${onLost} ${what}`
  const begun = await code(first.channel(name).run(() => ['done'], { onLost }))
  expect(begun).toBe(what === 'once' ? 'resolved' : 'DRIVER_UNAVAILABLE')
  if (begun !== 'resolved') expect(await code(second.channel(name).run(() => ['done'], { onLost }))).toBe('resolved')
  await eventually(async () => expect(await second.channel(name).read()).toMatchObject({ messages: [{ data: 'done' }], ended: true }))
  expect(await second.channel(name).info()).not.toHaveProperty('error')
})
