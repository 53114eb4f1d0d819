import { describe, expect, it, vi } from 'vitest'
import { control, message } from '../../support/scripted-server'
import { END, MARK, all, stubBrowser, useHarness } from './harness'
import { watchPage } from '../../../src/runtime/client/page-life'
import { eventually } from '../../support/conditions'
import { share, useSharers } from './sharer'
import { trackTimers } from '../../support/track-timers'

const harness = useHarness()
useSharers()

/** A window whose listeners are counted by type. */
function countListeners(): { browser: EventTarget, counts: Map<string, number> } {
  const browser = stubBrowser()
  const counts = new Map<string, number>()
  const count = (type: string, by: number) => counts.set(type, (counts.get(type) ?? 0) + by)
  vi.stubGlobal('addEventListener', (type: string, listener: EventListener, options: { signal: AbortSignal }) => {
    if (options.signal.aborted) return
    count(type, 1)
    options.signal.addEventListener('abort', () => count(type, -1))
    browser.addEventListener(type, listener, options)
  })
  return { browser, counts }
}

describe('the page has one listener of each kind', () => {
  it('for 20 clients in 8 groups, with and without an election, connected or waiting; none once the last is stopped', async () => {
    const { counts } = countListeners()
    const { server, open } = harness
    server.script(x => x.url.pathname.endsWith('down') ? x.status(503, '', { 'retry-after': '60' }) : x.open({ position: 'e1.0', heartbeatMs: 60_000 }))
    const sharers = Array.from({ length: 20 }, (_, n) => share(`${server.url}${n % 8 === 7 ? 'down' : n % 8}`, { share: n % 8 < 4 ? 'page' : 'browser' }))
    const sources = [open(), open()]
    await eventually(() => expect(sharers.map(one => one.state.status)).toEqual(sharers.map((_, n) => n % 8 === 7 ? 'reconnecting' : 'connected')))
    await eventually(() => expect(sources.map(one => one.status)).toEqual(['connected', 'connected']))
    expect(Object.fromEntries(counts)).toEqual({ pagehide: 1, freeze: 1, pageshow: 1, resume: 1, visibilitychange: 1, online: 1, offline: 1 })
    for (const sharer of sharers) sharer.stop()
    expect([...counts.values()]).toEqual(Array.from({ length: 7 }).fill(1))
    for (const source of sources) source.close()
    await eventually(() => expect([...counts.values()]).toEqual(Array.from({ length: 7 }).fill(0)))
    // The first watcher after that listens again.
    const again = open()
    expect([...counts.values()]).toEqual(Array.from({ length: 7 }).fill(1))
    again.close()
    await eventually(() => expect([...counts.values()]).toEqual(Array.from({ length: 7 }).fill(0)))
  })

  it('and calls the watchers in the order of their registration, none that has gone meanwhile, and all although one throws', async () => {
    const { browser } = countListeners()
    const thrown: unknown[] = []
    // The platform reports the error of a listener, and continues with the next: in Node as an uncaught exception.
    const report = vi.spyOn(process, 'nextTick').mockImplementation((task) => {
      try {
        task()
      }
      catch (error) {
        thrown.push(error)
      }
    })
    const calls: string[] = []
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()]
    watchPage(first.signal, (event) => {
      calls.push(`first ${event}`)
      second.abort()
      throw new Error('of the first')
    })
    watchPage(second.signal, event => calls.push(`second ${event}`))
    watchPage(third.signal, event => calls.push(`third ${event}`))
    watchPage(AbortSignal.abort(), event => calls.push(`never ${event}`))
    browser.dispatchEvent(new Event('freeze'))
    report.mockRestore()
    expect(calls).toEqual(['first sleep', 'third sleep'])
    expect(thrown.map(String)).toEqual(['Error: of the first'])
    first.abort()
    browser.dispatchEvent(new Event('online'))
    expect(calls.slice(2)).toEqual(['third online'])
    third.abort()
  })
})

describe('nothing is left', () => {
  // @guarantee clean
  it('of timers, listeners and connections, however a source ends', async () => {
    const timers = trackTimers('/src/runtime/client/')
    const { counts } = countListeners()
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
      // While the server has requested a later reconnect.
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
      // Without a reader.
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
    await eventually(() => expect([timers.size, ...counts.values()]).toEqual(Array.from({ length: 8 }).fill(0)))
    await eventually(() => expect(server.exchanges.filter(x => !x.closed)).toEqual([]))
  })
})
