import { afterEach, describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { startSSEServer } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'
import { failOnUnhandledRejections } from '../../support/unhandled'

failOnUnhandledRejections()

let server: TestServer
afterEach(() => server?.close())

describe('a shutdown', () => {
  it('refuses newcomers over either transport with Retry-After, while a request under way may still publish', async () => {
    server = await startSSEServer()
    server.route('/', () => server.channel('feed'))
    server.context.leave()
    for (const path of ['/', '/?transport=poll']) {
      const answer = await fetch(server.url + path)
      expect(answer.status).toBe(503)
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect(await answer.json()).toMatchObject({ type: 'pending', retryMs: expect.any(Number) })
    }
    expect((await fetch(`${server.url}/`, { method: 'HEAD' })).status).toBe(503)
    await server.channel('feed').publish(1)
  })

  it('spreads the reconnects over as long as their number needs', async () => {
    server = await startSSEServer({ retryMs: 1 })
    server.route('/', () => undefined)
    const readers = await Promise.all(Array.from({ length: 100 }, () => SSEReader.open(`${server.url}/`)))
    server.context.leave()
    await Promise.all(readers.map(reader => reader.finished))
    const waits = readers.map(reader => (reader.controls.at(-1) as unknown as { retryMs: number }).retryMs)
    expect(Math.max(...waits)).toBeGreaterThan(100)
    expect(Math.max(...waits)).toBeLessThanOrEqual(200)
    expect(new Set(waits).size).toBeGreaterThan(40)
  })

  it('lets a producer finish, and closes the driver behind it', async () => {
    server = await startSSEServer({ shutdownMs: 5_000 })
    const channel = server.channel<number>('job')
    const going = Promise.withResolvers<void>()
    const piped = channel.pipe((async function* () {
      yield 1
      await going.promise
      yield 2
    })())
    const closing = server.context.close()
    going.resolve()
    await piped
    await closing
  })

  it('stops one that does not when `shutdownMs` is over, and its readers are told', async () => {
    const driver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
    // Its store goes on without this process, as Redis does.
    server = await startSSEServer({ shutdownMs: 20 }, { ...driver, close: async () => {} })
    const signals: AbortSignal[] = []
    const hanging = (signal?: AbortSignal) => {
      if (signal) signals.push(signal)
      return (async function* () {
        await new Promise(() => {})
        yield 1
      })()
    }
    const piped = server.channel('pipe').pipe(hanging())
    await server.channel('fail').run(({ signal }) => hanging(signal))
    await server.channel('restart').run(({ signal }) => hanging(signal), { onLost: 'restart' })
    await eventually(() => expect(signals).toHaveLength(2))
    await server.context.close()
    await expect(piped).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect(server.context.producers.size).toBe(0)
    for (const { reason } of signals) expect(reason).toMatchObject({ code: 'SHUTTING_DOWN' })
    for (const name of ['pipe', 'fail']) expect((await driver.state(name)).closing).toMatchObject({ error: { code: 'SHUTTING_DOWN', retry: false } })
    // Another process has it at once.
    expect(await driver.lease('restart', { type: 'acquire', token: 'other', leaseMs: 60_000, onLost: 'restart' }, DEFAULT_HANDLER_OPTIONS.retention)).toMatchObject({ held: true, state: { closing: null } })
    await expect(server.channel('late').run(() => [1])).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
  })

  it('a run that is still being asked for when the time of all is up: it does not go on, and its readers are told', async () => {
    const driver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
    const answer = Promise.withResolvers<void>()
    server = await startSSEServer({ shutdownMs: 0 }, {
      ...driver,
      lease: async (...args) => {
        const given = await driver.lease(...args)
        if (args[0] === 'late' && args[1].type === 'acquire') await answer.promise
        return given
      },
      close: async () => {},
    })
    const before = server.channel('before').pipe(new ReadableStream())
    let released = 0
    let signal: AbortSignal | undefined
    const late = server.channel('late').run((run) => {
      signal = run.signal
      return new ReadableStream({ cancel: () => void released++ })
    })
    const closing = server.context.close()
    // Those that were there have been stopped.
    await expect(before).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    answer.resolve()
    await late
    await closing
    expect(signal!.reason).toMatchObject({ code: 'SHUTTING_DOWN' })
    expect([released, server.context.producers.size]).toEqual([1, 0])
    expect((await driver.state('late')).closing).toMatchObject({ error: { code: 'SHUTTING_DOWN' } })
  })

  it('a pipe that begins when the time of all is up: its readers are told', async () => {
    const driver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
    server = await startSSEServer({ shutdownMs: 0 }, { ...driver, close: async () => {} })
    await server.context.close()
    await expect(server.channel('c').pipe(new ReadableStream())).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect((await driver.state('c')).closing).toMatchObject({ error: { code: 'SHUTTING_DOWN' } })
  })
})
