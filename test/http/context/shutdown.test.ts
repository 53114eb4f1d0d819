import { describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { readState } from '../../../src/runtime/server/drivers/capabilities'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { createRedisDriver } from '../../../src/runtime/server/drivers/redis/redis'
import { redisConnector } from '../../../src/runtime/server/drivers/redis/connection/connect'
import { SSEError } from '../../../src/runtime/shared/errors'
import { loadIoredis } from '#sse/ioredis'
import { eventually } from '../../support/conditions'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import { startRedis } from '../../support/redis'
import { useSSEServers } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'

const startServer = useSSEServers()
let server: TestServer

describe('a shutdown', () => {
  it('refuses newcomers over either transport with Retry-After, while a request under way may still publish', async () => {
    server = await startServer()
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
    server = await startServer({ retryMs: 1 })
    server.route('/', () => undefined)
    const readers = await Promise.all(Array.from({ length: 100 }, () => SSEReader.open(`${server.url}/`)))
    server.context.leave()
    await Promise.all(readers.map(reader => reader.finished))
    const waits = readers.map(reader => (reader.controls.at(-1) as unknown as { retryMs: number }).retryMs)
    expect(Math.max(...waits)).toBeGreaterThan(100)
    expect(Math.max(...waits)).toBeLessThanOrEqual(200)
    expect(new Set(waits).size).toBeGreaterThan(40)
  })

  it('lets a producer finish, and closes the driver after it', async () => {
    server = await startServer({ shutdownMs: 5_000 })
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

  it('waits for work that it has started, and the driver closes after it: clean-ups, sources that must return, appends', async () => {
    const driver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
    const kept: string[] = []
    let closed = false
    server = await startServer({ shutdownMs: 10_000 }, {
      ...driver,
      // As over a network, and gone when it is closed.
      async append(name, entries, ...rest) {
        await turns(5)
        if (closed) throw new SSEError('DRIVER_UNAVAILABLE', 'The store cannot be reached.')
        const answer = await driver.append(name, entries, ...rest)
        kept.push(...entries.map(({ data }) => JSON.parse(data) as string))
        return answer
      },
      async close() {
        closed = true
      },
    })
    const publish = async (text: string) => void await server.channel('log').publish(text)
    server.route('/push', (_, connection) => {
      connection.onClosed(() => publish('at once'))
      connection.onClosed(async () => {
        await turns(20)
        await publish('later')
      })
      // Not returned: starting it is enough.
      connection.onClosed(() => void publish('not returned'))
      return async () => {
        await turns(3)
        await publish('returned')
      }
    })
    server.route('/generator', async function* () {
      try {
        yield 1
        while (true) {
          await turns(10)
          yield 2
        }
      }
      finally {
        await turns(10)
        await publish('finally')
      }
    })
    server.route('/stream', () => new ReadableStream({
      start: controller => controller.enqueue(1),
      cancel: async () => {
        await turns(10)
        await publish('cancel')
      },
    }))
    const open = (path: string) => SSEReader.open(server.url + path)
    const readers = await Promise.all(['/push', '/generator', '/stream'].map(open))
    await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.length > 0)))
    // A client that has left just before counts, too.
    const left = await open('/push')
    await left.close()
    await eventually(() => expect(server.context.connections.size).toBe(3))
    const underWay = server.channel('log').publish('under way')
    await server.context.close()
    await underWay
    const push = ['at once', 'later', 'not returned', 'returned']
    expect([...kept].sort()).toEqual([...push, ...push, 'finally', 'cancel', 'under way'].sort())
    expect(server.reported).toEqual([])
    await Promise.all(readers.map(reader => reader.finished))
    await expect(server.channel('log').publish('late')).rejects.toMatchObject({ code: 'SHUTTING_DOWN', statusCode: 503 })
  })

  it.each([0, 50])('does not wait for work that hangs longer than `shutdownMs` (%i ms): the response has ended long before', async (shutdownMs) => {
    server = await startServer({ shutdownMs })
    server.route('/generator', async function* () {
      yield 1
      await new Promise(() => {})
    })
    server.route('/push', (_, connection) => void connection.onClosed(() => new Promise(() => {})))
    const readers = await Promise.all(['/generator', '/push'].map(path => SSEReader.open(server.url + path)))
    await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.length > 0)))
    const began = performance.now()
    const closing = server.context.close()
    await Promise.all(readers.map(reader => reader.finished))
    await closing
    expect(performance.now() - began).toBeGreaterThanOrEqual(shutdownMs - 2)
    for (const { controls } of readers) expect(controls.at(-1)).toMatchObject({ type: 'leave' })
  })

  it('of Redis: operations under way, and later ones, never fail with "cannot be reached"', async () => {
    const redis = await startRedis()
    const ioredis = await loadIoredis()
    const connect = redisConnector({ url: redis.url })
    const said: string[] = []
    server = await startServer({ shutdownMs: 0 }, createRedisDriver({ createClient: settings => connect(ioredis, settings), report: message => said.push(message) }, DEFAULT_HANDLER_OPTIONS.retention))
    const channel = server.channel('c')
    await channel.publish(1)
    redis.pause()
    const all = [channel.publish(2), channel.read(), channel.info(), channel.end(), channel.delete(), channel.stop()]
    const codes = all.map(operation => operation.then(() => 'done', error => error.code))
    await server.context.close()
    expect(new Set(await Promise.all(codes))).toEqual(new Set(['SHUTTING_DOWN']))
    for (const operation of [channel.publish(3), channel.read(), channel.info(), channel.end(), channel.run(() => [1])]) await expect(operation).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect(said).toEqual([])
    await redis.stop()
  })

  it('stops a producer that does not end when `shutdownMs` is over, and its readers receive the error', async () => {
    const driver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
    // Its store outlives this process, as Redis does.
    server = await startServer({ shutdownMs: 20 }, { ...driver, close: async () => {} })
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
    for (const name of ['pipe', 'fail']) expect((await readState(driver, name)).closing).toMatchObject({ error: { code: 'SHUTTING_DOWN', retry: false } })
    // Another process has it at once.
    expect(await driver.lease('restart', { type: 'acquire', token: 'other', leaseMs: 60_000, onLost: 'restart' }, DEFAULT_HANDLER_OPTIONS.retention)).toMatchObject({ held: true, state: { closing: null } })
    await expect(server.channel('late').run(() => [1])).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
  })

  it('stops a run whose start is under way when the time is up, and its readers receive the error', async () => {
    const driver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
    const answer = Promise.withResolvers<void>()
    server = await startServer({ shutdownMs: 0 }, {
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
    // The earlier ones have been stopped.
    await expect(before).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    answer.resolve()
    await late
    await closing
    expect(signal!.reason).toMatchObject({ code: 'SHUTTING_DOWN' })
    expect([released, server.context.producers.size]).toEqual([1, 0])
    expect((await readState(driver, 'late')).closing).toMatchObject({ error: { code: 'SHUTTING_DOWN' } })
  })

  it('stops a pipe that starts when the time is up, and its readers receive the error', async () => {
    const driver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
    server = await startServer({ shutdownMs: 0 }, driver)
    await server.context.leave()
    await expect(server.channel('c').pipe(new ReadableStream())).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect((await readState(driver, 'c')).closing).toMatchObject({ error: { code: 'SHUTTING_DOWN' } })
  })
})
