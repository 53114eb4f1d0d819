import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { openSSE } from '../../src/runtime/client'
import type { SSESource } from '../../src/runtime/client'
import { createSSEPublisher } from '../../src/runtime/publisher'
import type { SSEPresenceMessage } from '../../src/runtime/shared/presence'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'
import { SSEReader } from '../support/read-sse'
import { startSingle } from '../support/redis'
import type { TestTopology } from '../support/redis'

/** A member must be back within two thirds of it. */
const LEASE_MS = 2_000
const MEMBERS = 1_000
/** Time limit of conditions that a thousand clients must meet, on a machine that does other things as well. */
const PATIENT_MS = 120_000

let redis: TestTopology
beforeAll(async () => {
  redis = await startSingle()
}, 60_000)
afterAll(() => redis.stop())
afterEach(stopBuiltServers)

/** On a loaded machine, Redis may answer late: a refused member would leave again. */
const start = (env: Record<string, string> = {}) => startBuiltServer('basic', { env: { ...redis.env, NUXT_SSE_REDIS_TIMEOUT_MS: '30000', NUXT_SSE_LEAVE_AFTER_MS: '500', ...env } })
/** Gives clients ten minutes to reconnect: a test that waited for their end would depend on the load of the machine. */
const startPatient = () => start({ NUXT_SSE_LEAVE_AFTER_MS: '600000' })
const keyOf = (name: string, part: string) => `sse:{nuxt-sse:presence:${name}}:${part}`
/** Lets these minutes pass: a member that nothing else holds leaves with the next step. Resolves with the number of holds that end. */
async function endHolds(admin: Redis, name: string): Promise<number> {
  const holds = (await admin.zrange(keyOf(name, 'due'), 0, -1)).filter(entry => entry.includes(' '))
  await admin.zadd(keyOf(name, 'due'), 'XX', ...holds.flatMap(entry => [1, entry]))
  return holds.length
}
const typesOf = ({ data }: SSEReader) => (data as { type: string }[]).map(({ type }) => type)

// @guarantee presence
it('kill -9: members leave once, within two leases, unless they reconnect', async () => {
  const admin = await redis.admin('')
  const startShort = () => start({ NUXT_SSE_LEASE_MS: String(LEASE_MS) })
  const [one, two, three] = await Promise.all([startShort(), startShort(), startShort()])
  const watchers = await Promise.all([two, three].map(({ url }) => SSEReader.open(`${url}/api/presence/room`)))
  // Their lists are empty: all members come as changes.
  await Promise.all(watchers.map(watcher => watcher.until(({ messages }) => messages.length === 1)))
  const open = (server: typeof one, id: string) => SSEReader.open(`${server.url}/api/presence/room?id=${id}`)
  for (const id of ['ann', 'ben', 'cleo']) await (await open(one, id)).until(({ messages }) => messages.length > 0)
  await Promise.all(watchers.map(watcher => watcher.until(({ messages }) => messages.length === 4)))
  await one.stop('SIGKILL')
  // By the clock of Redis, which ends it. How soon the others look is up to the machine here: lost-holders.test.ts has a clock of its own.
  const [seconds] = await admin.time()
  const [entry, until, ...others] = await admin.zrange(keyOf('room', 'due'), 0, -1, 'WITHSCORES')
  expect({ entry, others }).toEqual({ entry: expect.stringMatching(/^\w+$/) as string, others: [] })
  expect(Number(until) - seconds! * 1_000).toBeLessThanOrEqual(2 * LEASE_MS)
  const back = await open(two, 'ann')
  await Promise.all(watchers.map(watcher => watcher.until(({ messages }) => messages.length === 6)))
  for (const watcher of watchers) {
    expect(typesOf(watcher)).toEqual(['members', 'join', 'join', 'join', 'leave', 'leave'])
    expect((watcher.data.slice(4) as { id: string }[]).map(({ id }) => id).sort()).toEqual(['ben', 'cleo'])
  }
  back.close()
  await Promise.all(watchers.map(watcher => watcher.until(({ messages }) => messages.length === 7)))
  for (const watcher of watchers) watcher.close()
  admin.disconnect()
})

// @guarantee presence
it('SIGTERM: a member that reconnects to another instance has not left, and leaves with its last connection', async () => {
  const [one, two] = await Promise.all([startPatient(), start()])
  const watcher = await SSEReader.open(`${two.url}/api/presence/deploy`)
  // Its list is empty: all members come as changes.
  await watcher.until(({ messages }) => messages.length === 1)
  const member = await SSEReader.open(`${one.url}/api/presence/deploy?id=ann`)
  await watcher.until(({ messages }) => messages.length === 2)
  const stopped = one.stop('SIGTERM')
  await member.finished
  await stopped
  const back = await SSEReader.open(`${two.url}/api/presence/deploy?id=ann`)
  await back.until(({ messages }) => messages.length > 0)
  expect(typesOf(back)).toEqual(['members'])
  const admin = await redis.admin('')
  expect(await endHolds(admin, 'deploy')).toBe(1)
  admin.disconnect()
  back.close()
  await watcher.until(({ messages }) => messages.length === 3)
  await eventually(() => expect(typesOf(watcher)).toEqual(['members', 'join', 'leave']))
  watcher.close()
})

// @guarantee presence
it('SIGTERM to an instance with 1,000 members: all continue on another, no client receives a join or a leave, and nothing is left when they close', { timeout: 300_000 }, async () => {
  const admin = await redis.admin('')
  await using publisher = createSSEPublisher({ redis: { url: redis.env.NUXT_SSE_REDIS_URL } })
  const count = () => publisher.presence('deploy-of-many').count()
  const key = (part: string) => keyOf('deploy-of-many', part)
  const told = async () => Number(await admin.hget(key('meta'), 'last'))
  const [leaving, staying] = await Promise.all([startPatient(), start()])
  const open = (query = '', servers = [leaving, staying]) => new Client('/api/presence/deploy-of-many' + query, servers)
  const members = Array.from({ length: MEMBERS }, (_, index) => open(`?id=m${index}`))
  const watchers = [open(), open('', [staying])]
  const clients = [...members, ...watchers]
  const messages = () => clients.flatMap(client => client.messages)
  try {
    await eventually(() => expect(clients.filter(({ present }) => present.size !== MEMBERS)).toHaveLength(0), PATIENT_MS)
    const before = await told()
    for (const client of clients) client.messages.length = 0

    expect(await leaving.stop('SIGTERM')).toMatchObject({ code: 0 })
    await eventually(async () => expect(await (await fetch(`${staying.url}/api/stats`)).json()).toMatchObject({ connections: clients.length }), PATIENT_MS)
    expect(await told()).toBe(before)
    expect(await endHolds(admin, 'deploy-of-many')).toBe(MEMBERS)
    expect(await count()).toBe(MEMBERS)
    expect(await admin.zcard(key('due'))).toBe(1)
    const newcomer = open('', [staying])
    await eventually(() => expect(newcomer.present.size).toBe(MEMBERS), PATIENT_MS)
    newcomer.close()
    expect(await told()).toBe(before)
    expect(messages()).toEqual([])

    for (const member of members) member.close()
    await eventually(() => expect(watchers.map(({ present }) => present.size)).toEqual([0, 0]), PATIENT_MS)
    for (const watcher of watchers) expect(watcher.messages.map(({ type }) => type)).toEqual(Array.from({ length: MEMBERS }, () => 'leave'))
    expect(await count()).toBe(0)
    await eventually(async () => expect(await admin.exists(key('members'), key('due'))).toBe(0))
  }
  finally {
    for (const client of clients) client.close()
    admin.disconnect()
  }
})

/** The project's own client, which continues on the first of the servers that accepts it, as behind a load balancer. */
class Client {
  readonly messages: SSEPresenceMessage[] = []
  /** IDs of the members, by the messages so far. */
  readonly present = new Set<string>()
  readonly #source: SSESource<{ data: SSEPresenceMessage }>

  constructor(path: string, servers: readonly BuiltServer[]) {
    const fetchFrom = async ([server, ...others]: readonly BuiltServer[], init?: RequestInit): Promise<Response> => {
      try {
        return await fetch(server!.url + path, init)
      }
      catch (error) {
        if (!others.length || (error as { cause?: NodeJS.ErrnoException }).cause?.code !== 'ECONNREFUSED') throw error
        return fetchFrom(others, init)
      }
    }
    this.#source = openSSE<SSEPresenceMessage>(servers[0]!.url + path, { fetch: (_, init) => fetchFrom(servers, init), connectTimeoutMs: PATIENT_MS })
    void this.#read()
  }

  close(): void {
    this.#source.close()
  }

  async #read(): Promise<void> {
    for await (const { data } of this.#source) {
      this.messages.push(data)
      if (data.type === 'members') for (const { id } of data.members) this.present.add(id)
      else if (data.type === 'leave') this.present.delete(data.id)
      else this.present.add(data.member.id)
    }
  }
}
