import process from 'node:process'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually, LOADED_MS } from '../support/conditions'
import { SSEReader } from '../support/read-sse'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'

const STREAMS = 100

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
afterEach(stopBuiltServers)

/** Streams of both workers: the connections of a server go to them in turn. */
async function workersOf(server: BuiltServer): Promise<number[]> {
  const pids = new Set<number>()
  await eventually(async () => {
    const answer = await fetch(`${server.url}/api/pid`, { headers: { connection: 'close' } })
    pids.add((await answer.json()).pid)
    expect(pids.size).toBe(2)
  }, 20_000)
  return [...pids]
}

describe('the node_cluster preset', () => {
  it.each([
    ['SIGTERM to the primary', ['SIGTERM']],
    ['an impatient operator', ['SIGTERM', 'SIGTERM', 'SIGINT', 'SIGINT']],
  ] as [string, NodeJS.Signals[]][])(`%s: ${STREAMS} open streams receive a leave, and no process is left`, async (_, signals) => {
    const server = await startBuiltServer('nodeCluster', { env: { NUXT_SSE_REDIS_URL: redis.url, NITRO_CLUSTER_WORKERS: '2' } })
    const workers = await workersOf(server)
    const readers = await Promise.all(Array.from({ length: STREAMS }, () => SSEReader.open(`${server.url}/api/channel/cluster`)))
    await fetch(`${server.url}/api/publish/cluster`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"n":1}' })
    await Promise.all(readers.map(reader => reader.until(({ messages }) => messages.some(({ data }) => (data as { n: number }).n === 1))))

    const { code, ms } = await server.stop(...signals)
    expect(code).toBe(0)
    expect(ms).toBeLessThan(LOADED_MS)
    await Promise.all(readers.map(reader => reader.finished))
    for (const reader of readers) expect(reader.controls).toMatchObject([{ type: 'open' }, { type: 'leave', retryMs: expect.any(Number) }])
    for (const pid of workers) expect(() => process.kill(pid, 0)).toThrowError(expect.objectContaining({ code: 'ESRCH' }))
    expect(server.output()).not.toMatch(/unhandled|uncaught|timeout/i)
  })
})
