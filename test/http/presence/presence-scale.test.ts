import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createRedisDriver } from '../../../src/runtime/server/drivers/redis/redis'
import { Presence } from '../../../src/runtime/server/presence/presence'
import type { SSEPresenceMessage } from '../../../src/runtime/shared/presence'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { startRedis } from '../../support/redis'
import type { TestRedis } from '../../support/redis'
import { useSSEServers } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const start = useSSEServers()

let redis: TestRedis
let admin: Redis
beforeAll(async () => {
  redis = await startRedis()
  admin = new Redis(redis.url)
})
afterAll(async () => {
  admin.disconnect()
  await redis.stop()
})

/** Commands of clients so far, by Redis' own count. Commands that scripts call, such as `TIME`, are left out. */
async function commands(): Promise<number> {
  const stats = await admin.info('commandstats')
  const calls = (name: string) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
  return ['eval', 'evalsha', 'subscribe', 'unsubscribe', 'ping'].reduce((sum, name) => sum + calls(name), 0)
}

function enter(server: TestServer, from: number, count: number): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, (_, index) => new Presence(server.context, 'room', { id: `user-${from + index}`, data: { name: `User ${from + index}`, avatar: `/avatars/${from + index}.png` } }).enter()))
}

it('10,000 members of one name on two servers: commands at rest, a thousand joins, and the time of a newcomer to the whole list', async () => {
  const servers = await Promise.all([0, 1].map(() => start({ leaseMs: 3_000 }, createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION))))
  for (const server of servers) server.route('/room', () => server.presence('room'))
  const watchers = await Promise.all(servers.map(server => SSEReader.open(`${server.url}/room`)))
  await Promise.all(watchers.map(watcher => watcher.until(({ messages }) => messages.length > 0)))
  for (let from = 0; from < 9_000; from += 1_000) await enter(servers[(from / 1_000) % 2]!, from, 1_000)

  const beforeJoins = await commands()
  for (let from = 9_000; from < 10_000; from += 50) {
    void enter(servers[0]!, from, 50)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  await eventually(async () => expect(await servers[1]!.presence('room').count()).toBe(10_000))
  const joins = await commands() - beforeJoins

  const newcomers: number[] = []
  for (let run = 0; run < 3; run++) {
    const startedAt = performance.now()
    const newcomer = await SSEReader.open(`${servers[run % 2]!.url}/room`)
    await newcomer.until(({ data }) => data.length > 0 && !(data.at(-1) as { more?: true }).more)
    newcomers.push(Math.round(performance.now() - startedAt))
    expect((newcomer.data as SSEPresenceMessage[]).reduce((sum, message) => sum + (message.type === 'members' ? message.members.length : 0), 0)).toBe(10_000)
    for (const { data } of newcomer.messages) expect(JSON.stringify(data).length).toBeLessThan(65_536)
    newcomer.close()
  }

  const [before, startedAt] = [await commands(), performance.now()]
  await new Promise(resolve => setTimeout(resolve, 4_000))
  const perSecond = (await commands() - before) / ((performance.now() - startedAt) / 1_000) / servers.length
  console.info(`presence, 10,000 members, leaseMs 3,000: ${perSecond.toFixed(1)} commands a second and server at rest; 1,000 joins in a second: ${joins} commands; newcomers: ${newcomers.join(', ')} ms`)
  expect(perSecond).toBeLessThan(20)
  expect(joins).toBeLessThan(200)
  for (const watcher of watchers) watcher.close()
}, 60_000)

it('1,000 names with a member each: commands at rest, and every lease is kept', async () => {
  const LEASE_MS = 3_000
  const server = await start({ leaseMs: LEASE_MS }, createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION))
  const names = Array.from({ length: 1_000 }, (_, index) => `rooms/${index}`)
  await Promise.all(names.map(name => new Presence(server.context, name, { id: 'ann' }).enter()))
  // The first renewals after this are over.
  await new Promise(resolve => setTimeout(resolve, LEASE_MS / 2))
  await admin.config('RESETSTAT')
  const [before, startedAt] = [await commands(), performance.now()]
  await new Promise(resolve => setTimeout(resolve, 4_000))
  const busyMs = Number(/cmdstat_evalsha:.*usec_per_call=([\d.]+)/.exec(await admin.info('commandstats'))?.[1]) / 1_000
  const rounds = (performance.now() - startedAt) / (LEASE_MS / 3)
  const perRound = (await commands() - before) / rounds
  console.info(`presence, 1,000 names, leaseMs ${LEASE_MS.toLocaleString('en')}: ${perRound.toFixed(1)} commands for each third of a lease at rest, ${busyMs.toFixed(1)} ms of Redis' time each`)
  expect(perRound).toBeLessThan(30)
  // Longer than a lease has passed.
  for (const name of [names[0]!, names[499]!, names[999]!]) expect(await new Presence(server.context, name).count()).toBe(1)
}, 60_000)
