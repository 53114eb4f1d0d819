import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually, LOADED_MS } from '../support/conditions'
import { SSEReader } from '../support/read-sse'
import { startSingle } from '../support/redis'
import type { TestTopology } from '../support/redis'

/** Long enough for a client that reconnects on a loaded machine. */
const LEASE_MS = 4_000
const LEAVE_AFTER_MS = 3_000

let redis: TestTopology
beforeAll(async () => {
  redis = await startSingle()
}, 60_000)
afterAll(() => redis.stop())
afterEach(stopBuiltServers)

const start = () => startBuiltServer('basic', { env: { ...redis.env, NUXT_SSE_LEASE_MS: String(LEASE_MS), NUXT_SSE_LEAVE_AFTER_MS: String(LEAVE_AFTER_MS) } })
const typesOf = ({ data }: SSEReader) => (data as { type: string }[]).map(({ type }) => type)

// @guarantee presence
it('kill -9: members leave once, within two leases, unless they reconnect', async () => {
  const [one, two, three] = await Promise.all([start(), start(), start()])
  const watchers = await Promise.all([two, three].map(({ url }) => SSEReader.open(`${url}/api/presence/room`)))
  const open = (server: typeof one, id: string) => SSEReader.open(`${server.url}/api/presence/room?id=${id}`)
  for (const id of ['ann', 'ben', 'cleo']) await (await open(one, id)).until(({ messages }) => messages.length > 0)
  await Promise.all(watchers.map(watcher => watcher.until(({ messages }) => messages.length === 4)))
  await one.stop('SIGKILL')
  const killedAt = performance.now()
  const back = await open(two, 'ann')
  await Promise.all(watchers.map(watcher => watcher.until(({ messages }) => messages.length === 6)))
  expect(performance.now() - killedAt).toBeLessThan(2 * LEASE_MS + LOADED_MS)
  for (const watcher of watchers) {
    expect(typesOf(watcher)).toEqual(['members', 'join', 'join', 'join', 'leave', 'leave'])
    expect((watcher.data.slice(4) as { id: string }[]).map(({ id }) => id).sort()).toEqual(['ben', 'cleo'])
  }
  back.close()
  await Promise.all(watchers.map(watcher => watcher.until(({ messages }) => messages.length === 7)))
  for (const watcher of watchers) watcher.close()
})

// @guarantee presence
it('SIGTERM: a member that reconnects to another instance has not left, and leaves with its last connection', async () => {
  const [one, two] = await Promise.all([start(), start()])
  const watcher = await SSEReader.open(`${two.url}/api/presence/deploy`)
  const member = await SSEReader.open(`${one.url}/api/presence/deploy?id=ann`)
  await watcher.until(({ messages }) => messages.length === 2)
  const stopped = one.stop('SIGTERM')
  await member.finished
  const back = await SSEReader.open(`${two.url}/api/presence/deploy?id=ann`)
  await stopped
  await back.until(({ messages }) => messages.length > 0)
  expect(typesOf(back)).toEqual(['members'])
  back.close()
  await watcher.until(({ messages }) => messages.length === 3)
  await eventually(() => expect(typesOf(watcher)).toEqual(['members', 'join', 'leave']))
  watcher.close()
})
