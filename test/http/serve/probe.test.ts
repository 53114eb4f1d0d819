import { defineEventHandler } from 'h3'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { serveProbe } from '../../../src/runtime/server/serve/probe'
import { eventually } from '../../support/conditions'
import type { TestServer } from '../../support/sse-server'
import { NOTHING, startSSEServer } from '../../support/sse-server'

let server: TestServer
beforeEach(async () => {
  server = await startSSEServer({ maxConnections: 1, headers: { 'x-own': '1' } })
  server.use('/__sse/probe', defineEventHandler(event => serveProbe(event, server.context)))
})
afterEach(() => server.close())

const probe = () => fetch(`${server.url}/__sse/probe`)

describe('the probe', () => {
  it('has the headers of a stream, and its bytes at once; it ends after five seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const response = await probe()
      expect(response.status).toBe(200)
      expect(Object.fromEntries(response.headers)).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no', 'x-own': '1' })
      const reader = response.body!.getReader()
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(': probe\n\n')
      let over = false
      const rest = reader.read().then(({ done }) => over = done)
      await vi.advanceTimersByTimeAsync(4_900)
      expect(over).toBe(false)
      await vi.advanceTimersByTimeAsync(200)
      await rest
      expect(over).toBe(true)
    }
    finally {
      vi.useRealTimers()
    }
  })

  it('counts in no limit, is no connection, and leaves nothing', async () => {
    const responses = await Promise.all(Array.from({ length: 20 }, probe))
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    expect([server.left(), server.context.admissions.all.open]).toEqual([NOTHING, 0])
    for (const { body } of responses) await body!.cancel()
    await eventually(() => expect(server.sockets.size).toBe(0))
  })

  it('ends when the server shuts down', async () => {
    const text = (await probe()).text()
    server.context.leave()
    expect(await text).toBe(': probe\n\n')
    expect(await (await probe()).text()).toBe(': probe\n\n')
  })
})
