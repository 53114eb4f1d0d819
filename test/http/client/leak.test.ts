import { describe, expect, it, vi } from 'vitest'
import { control, message } from '../../support/scripted-server'
import { END, MARK, all, stubBrowser, useHarness } from './harness'
import { eventually } from '../../support/conditions'
import { trackTimers } from '../../support/track-timers'

const harness = useHarness()

describe('nothing is left', () => {
  it('of timers, listeners and connections, however a source ends', async () => {
    const timers = trackTimers('/src/runtime/client/')
    const browser = stubBrowser()
    const listening = new Set<AbortSignal>()
    vi.stubGlobal('addEventListener', (name: string, listener: EventListener, { signal }: { signal: AbortSignal }) => {
      listening.add(signal)
      signal.addEventListener('abort', () => listening.delete(signal))
      browser.addEventListener(name, listener, { signal })
    })
    const { server, open } = harness
    const ends: (() => Promise<unknown>)[] = [
      async () => {
        server.script(x => x.open({ heartbeatMs: 60_000 }).write(message(1)).end(END))
        await all(open())
      },
      async () => {
        server.script(x => x.status(404))
        await all(open()).catch(() => {})
      },
      async () => {
        server.script(x => x.status(500))
        await all(open({ reconnect: { minDelayMs: 1, maxDelayMs: 1, maxAttempts: 3 } })).catch(() => {})
      },
      async () => {
        server.script(x => x.open({ heartbeatMs: 60_000 }).write(message(1) + message(2)))
        for await (const _ of open()) break
      },
      // In the middle of a wait.
      async () => {
        server.script(x => x.status(503, '', { 'retry-after': '60' }))
        const source = open()
        const read = all(source)
        await eventually(() => expect(source.status).toBe('reconnecting'))
        source.close()
        await read
      },
      // While the server has asked to come back later.
      async () => {
        server.script(x => x.open().end(control({ type: 'leave', retryMs: 60_000 })))
        const source = open()
        const read = all(source)
        await eventually(() => expect(source.status).toBe('reconnecting'))
        source.close()
        await read
      },
      // Before an answer.
      async () => {
        server.script(() => {})
        const source = open()
        const read = all(source)
        const before = server.exchanges.length
        await eventually(() => expect(server.exchanges.length).toBeGreaterThan(before))
        source.close()
        await read
      },
      // While it polls, and waits to try the stream again.
      async () => {
        server.script(x => x.stream('', MARK), x => x.stream('', MARK), x => x.batch([], { position: 'e1.0' }), () => {})
        const source = open({ connectTimeoutMs: 200 })
        const read = all(source)
        await eventually(() => expect(source).toMatchObject({ transport: 'poll', status: 'connected' }))
        source.close()
        await read
      },
      // While nobody reads.
      async () => {
        server.script(x => x.open().write(message(1).repeat(500)))
        const source = open()
        await eventually(() => expect(source.status).toBe('connected'))
        source.close()
      },
    ]
    for (let round = 0; round < 3; round++) {
      for (const end of ends) await end()
    }
    await eventually(() => expect([timers.size, listening.size]).toEqual([0, 0]))
    await eventually(() => expect(server.exchanges.filter(x => !x.closed)).toEqual([]))
  })
})
