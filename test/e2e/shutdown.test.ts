import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { SSEReader } from '../support/read-sse'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'
import { LOADED_MS } from '../support/conditions'

const STREAMS = 1_000

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
afterEach(stopBuiltServers)

describe('a deploy', () => {
  // @guarantee quick-shutdown
  it(`${STREAMS} open streams are gone at once, each with a leave, and nothing is lost on the next instance`, { timeout: 120_000 }, async () => {
    const start = () => startBuiltServer('basic', { env: { NUXT_SSE_REDIS_URL: redis.url } })
    const [leaving, next] = await Promise.all([start(), start()])
    const publish = async (server: BuiltServer, n: number) => {
      const answer = await fetch(`${server.url}/api/publish/deploy`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ n }) })
      expect(answer.status).toBe(200)
    }
    const open = (server: BuiltServer, query = '') => SSEReader.open(`${server.url}/api/channel/deploy${query}`)
    const readers: SSEReader[] = []
    while (readers.length < STREAMS) readers.push(...await Promise.all(Array.from({ length: 50 }, () => open(leaving))))
    await publish(leaving, 1)
    await publish(next, 2)
    await Promise.all(readers.map(reader => reader.until(({ messages }) => messages.length === 2, 30_000)))

    const { code, ms } = await leaving.stop('SIGTERM')
    expect(code).toBe(0)
    expect(ms).toBeLessThan(LOADED_MS)
    await publish(next, 3)

    await Promise.all(readers.map(reader => reader.finished))
    const waits = readers.map((reader) => {
      expect(reader.controls.at(-1)).toMatchObject({ type: 'leave', retryMs: expect.any(Number) })
      return reader.controls.at(-1)!.retryMs as number
    })
    // No tenth of the time takes more than a fifth of the clients.
    const tenth = Math.max(...waits) / 10
    expect(tenth).toBeGreaterThan(100)
    for (let i = 0; i < 10; i++) expect(waits.filter(wait => wait > i * tenth && wait <= (i + 1) * tenth).length).toBeLessThan(STREAMS / 5)

    for (let i = 0; i < STREAMS; i += 50) {
      await Promise.all(readers.slice(i, i + 50).map(async (reader) => {
        await using resumed = await open(next, `?position=${reader.messages.at(-1)!.id}`)
        await resumed.until(({ messages }) => messages.length > 0, 30_000)
        expect([...reader.messages, ...resumed.messages].map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
        expect(resumed.controls).toMatchObject([{ type: 'open', resumed: true }])
      }))
    }
    expect(leaving.output()).not.toMatch(/unhandled|uncaught/i)
  })
})
