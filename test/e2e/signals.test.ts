import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { SSEReader } from '../support/read-sse'
import { LOADED_MS } from '../support/conditions'

afterEach(stopBuiltServers)

describe('signals', () => {
  it.each([
    [['SIGTERM', 'SIGTERM']],
    [['SIGTERM', 'SIGINT', 'SIGINT', 'SIGTERM']],
  ] as [NodeJS.Signals[]][])('%j: each stream ends once, and the exit is clean', async (signals) => {
    const server = await startBuiltServer('basic')
    const readers = await Promise.all(['/api/channel/x', '/api/push', '/api/count?to=100000&everyMs=50'].map(path => SSEReader.open(server.url + path)))
    await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.length > 0)))
    const { code, ms } = await server.stop(...signals)
    expect(code).toBe(0)
    expect(ms).toBeLessThan(LOADED_MS)
    for (const reader of readers) {
      await reader.finished
      expect(reader.controls.filter(({ type }) => type === 'leave')).toHaveLength(1)
      expect(reader.cut).toBe(false)
    }
    expect(server.output()).not.toMatch(/error|unhandled|uncaught/i)
  })

  it('are not held back by connections that idle', async () => {
    const server = await startBuiltServer('basic')
    const agent = new Agent({ keepAlive: true })
    const sockets = await Promise.all(Array.from({ length: 20 }, async () => {
      const asked = request(`${server.url}/api/stats`, { agent }).end()
      const [answer] = await once(asked, 'response')
      await once(answer.resume(), 'close')
      return asked.socket!
    }))
    // None of them was used for a second request, and none was closed.
    expect(new Set(sockets).size).toBe(20)
    expect(sockets.every(({ destroyed }) => !destroyed)).toBe(true)
    await using reader = await SSEReader.open(`${server.url}/api/channel/x`)
    const { code, ms } = await server.stop('SIGTERM')
    expect([code, reader.status]).toEqual([0, 200])
    expect(ms).toBeLessThan(LOADED_MS)
    agent.destroy()
  })

  it('are left to Node where Nitro does not listen', async () => {
    const server = await startBuiltServer('basic', { env: { NITRO_SHUTDOWN_DISABLED: '1' } })
    await using reader = await SSEReader.open(`${server.url}/api/channel/x`)
    const { code, signal } = await server.stop('SIGTERM')
    expect([code, signal, reader.status]).toEqual([null, 'SIGTERM', 200])
    await reader.finished
    expect(reader.controls).toMatchObject([{ type: 'open' }])
  })
})
