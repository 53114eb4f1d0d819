import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/conditions'
import { openSSE } from '../../../src/runtime/client'
import { SSEReader } from '../../support/read-sse'
import { useSSEServers } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'

const startServer = useSSEServers()
let server: TestServer

describe('maxLifetimeMs', () => {
  it('is jittered within 80 to 100 %, evenly', async () => {
    server = await startServer({ heartbeatMs: false, maxLifetimeMs: 100_000 })
    server.route('/', () => undefined)
    const before = performance.now()
    const readers = await Promise.all(Array.from({ length: 200 }, () => SSEReader.open(`${server.url}/`)))
    const took = performance.now() - before
    // The end of each, in parts of its lifetime.
    const parts = [...server.context.connections].map(connection => (connection.dueAt() - before) / 100_000)
    expect(parts).toHaveLength(200)
    for (const part of parts) {
      expect(part).toBeGreaterThanOrEqual(0.8)
      expect(part).toBeLessThanOrEqual(1 + took / 100_000)
    }
    // One in 2^57 runs has none in a fifth of the range.
    for (let i = 0; i < 5; i++) expect(parts.some(part => part >= 0.8 + i * 0.04 && part < 0.84 + i * 0.04 + took / 100_000)).toBe(true)
    await Promise.all(readers.map(reader => reader.close()))
  })

  it('ends a channel, a push handler, and a generator that is in an await: its `finally` runs', async () => {
    server = await startServer({ maxLifetimeMs: 100 })
    const cleaned: string[] = []
    server.route('/channel', () => server.channel('feed'))
    server.route('/push', (_, connection) => {
      void connection.push(1)
      return () => void cleaned.push('push')
    })
    server.route('/generator', async function* (_, connection) {
      try {
        yield 1
        await new Promise(resolve => connection.signal.addEventListener('abort', resolve))
        yield 2
      }
      finally {
        cleaned.push('generator')
      }
    } as Parameters<TestServer['route']>[1])
    const readers = await Promise.all(['/channel', '/push', '/generator'].map(path => SSEReader.open(server.url + path)))
    await Promise.all(readers.map(reader => reader.finished))
    for (const { controls } of readers) expect(controls).toMatchObject([{ type: 'open' }, { type: 'leave', retryMs: expect.any(Number) }])
    expect(readers.map(({ data }) => data)).toEqual([[], [1], [1]])
    await eventually(() => expect(cleaned.toSorted()).toEqual(['generator', 'push']))
    expect([server.context.connections.size, server.context.heartbeats.size]).toEqual([0, 0])
  })

  it('costs a client nothing: it resumes after its position, and counts no failure', async () => {
    server = await startServer({ maxLifetimeMs: 60, retryMs: 1 })
    const channel = server.channel<number>('feed')
    let visits = 0
    server.route('/', () => {
      visits++
      return channel
    })
    const source = openSSE<number>(`${server.url}/`, { reconnect: { maxAttempts: 1 } })
    const publishing = (async () => {
      let n = 0
      await eventually(async () => {
        await channel.publish(++n)
        expect(visits).toBeGreaterThanOrEqual(5)
      }, 10_000)
      await channel.end()
      return n
    })()
    const got: number[] = []
    for await (const { data } of source) got.push(data)
    expect(got).toEqual(Array.from({ length: await publishing }, (_, i) => i + 1))
  })
})
