import { defineEventHandler } from 'h3'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { serveProbe } from '../../../src/runtime/server/serve/probe'
import { eventually } from '../../support/conditions'
import { collected } from '../../support/garbage'
import { RawSocket } from '../../support/raw-http'
import { NOTHING, useSSEServer } from '../../support/sse-server'
import { trackTimers } from '../../support/track-timers'

const server = useSSEServer({ maxConnections: 1, headers: { 'x-own': '1' } })
beforeEach(() => server.use('/__sse/probe', defineEventHandler(event => serveProbe(event, server.context))))
afterEach(() => vi.unstubAllGlobals())

const PROBES = 20
/** Without a client that has timers of its own. Each has received its bytes. */
async function openProbes(path = '/__sse/probe'): Promise<RawSocket[]> {
  const sockets = await Promise.all(Array.from({ length: PROBES }, () => RawSocket.get(server.url, path)))
  return Promise.all(sockets.map(socket => socket.until(({ received }) => received.includes(': probe'))))
}

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

  it.each([
    ['its client leaves', (socket: RawSocket) => socket.destroy()],
    ['the server shuts down', () => server.context.leave()],
  ])('leaves no timer when %s', async (_, end) => {
    const timers = trackTimers('/probe.ts')
    const sockets = await openProbes()
    expect(timers.size).toBe(PROBES)
    for (const socket of sockets) await end(socket)
    // Before they would have fired.
    await eventually(() => expect(timers.size).toBe(0), 2_000)
    for (const socket of sockets) socket.destroy()
  })

  it('is not kept by the server until a shutdown', async () => {
    const watch = collected()
    server.use('/watched', defineEventHandler((event) => {
      watch.add(event.node.res)
      return serveProbe(event, server.context)
    }))
    for (const socket of await openProbes('/watched')) socket.destroy()
    // Another part may still hold the last one.
    await watch.atLeast(PROBES - 2)
  })

  it('ends when the server shuts down', async () => {
    const text = (await probe()).text()
    server.context.leave()
    expect(await text).toBe(': probe\n\n')
    expect(await (await probe()).text()).toBe(': probe\n\n')
  })
})
