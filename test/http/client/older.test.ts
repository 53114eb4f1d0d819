import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import type { OpenSSEOptions, SSESource } from '../../../src/runtime/client'
import { createRedisDriver } from '../../../src/runtime/server/drivers/redis/redis'
import { SSEError } from '../../../src/runtime/shared/errors'
import { eventually } from '../../support/conditions'
import { startRedis } from '../../support/redis'
import type { TestRedis } from '../../support/redis'
import { control, message } from '../../support/scripted-server'
import { startSSEServer, useSSEServer } from '../../support/sse-server'
import { QUICK, data, useHarness } from './harness'

const server = useSSEServer({ retryMs: 1, pollWaitMs: 50 })
const harness = useHarness()

const open = (url: string, options: OpenSSEOptions = {}) => openSSE(url, { ...QUICK, ...options }) as SSESource

function follow(source: SSESource): unknown[] {
  const seen: unknown[] = []
  void (async () => {
    for await (const one of source) seen.push(one.data)
  })().catch(() => {})
  return seen
}

async function rejection(promise: Promise<unknown>): Promise<SSEError> {
  const error = await promise.then(() => undefined, error => error)
  expect(error).toBeInstanceOf(SSEError)
  return error
}

describe.each(['stream', 'poll'] as const)('loadOlder, by %s', (transport) => {
  it.each([['one channel', false], ['one of several channels', true]] as const)('pages back to the beginning: %s', async (_, several) => {
    const [one, other] = [server.channel<number>('one'), server.channel<number>('other')]
    server.route('/c', () => several ? server.channels({ other, one }) : one)
    for (let n = 1; n <= 9; n++) await one.publish(n)
    await other.publish(0)
    const source = open(`${server.url}/c`, { transports: [transport], position: '-2', ...several && { channel: 'one' } })
    const seen = follow(source)
    // Requested before the position is known: it waits.
    const first = source.loadOlder(3)
    const second = source.loadOlder(2)
    expect(data(await first)).toEqual([5, 6, 7])
    await eventually(() => expect(seen).toEqual([8, 9]))
    const past = [...data(await second), ...data(await source.loadOlder()), ...data(await source.loadOlder())]
    expect(past.slice(0, 2)).toEqual([3, 4])
    expect(past.slice(2)).toEqual([1, 2])
    await one.publish(10)
    await eventually(() => expect(seen).toEqual([8, 9, 10]))
    source.close()
  })

  it('counts from before the position where nothing was received, and what arrives meanwhile is not older', async () => {
    const one = server.channel<number>('one')
    server.route('/c', () => one)
    for (let n = 1; n <= 4; n++) await one.publish(n)
    const source = open(`${server.url}/c`, { transports: [transport], position: 'now' })
    const seen = follow(source)
    const page = await source.loadOlder(2)
    expect(data(page)).toEqual([3, 4])
    expect(page[0]).toEqual({ id: `${(await one.info()).epoch}.3`, data: 3 })
    await one.publish(5)
    await eventually(() => expect(seen).toEqual([5]))
    expect(data(await source.loadOlder())).toEqual([1, 2])
    expect(await source.loadOlder()).toEqual([])
    expect([source.position, source.gap]).toEqual([`${(await one.info()).epoch}.5`, undefined])
    source.close()
  })

  it('rejects with `GAP` where the log was lost, and after a gap counts from there', async () => {
    const one = server.channel<number>('one', { retention: { maxMessages: 3 } })
    server.route('/c', () => one)
    await one.publish(1)
    const source = open(`${server.url}/c`, { transports: [transport] })
    const seen = follow(source)
    await eventually(() => expect(seen).toEqual([1]))
    await one.delete()
    for (let n = 2; n <= 4; n++) await one.publish(n)
    await eventually(() => expect(seen).toEqual([1, 2, 3, 4]))
    expect(source.gap).toMatchObject({ reason: 'epoch' })
    expect(await source.loadOlder()).toEqual([])
    source.close()
  })
})

describe('loadOlder over Redis, where messages that were appended together are one entry', () => {
  const RETENTION = { maxMessages: 30, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  it.each([['stream', false], ['stream', true], ['poll', false], ['poll', true]] as const)('pages back to the oldest stored message: by %s, several channels: %s', async (transport, several) => {
    const driver = createRedisDriver({ createClient: settings => new Redis(redis.url, settings), report: () => {} }, RETENTION)
    const over = await startSSEServer({ retryMs: 1, pollWaitMs: 50 }, driver)
    try {
      const name = `${transport} ${several}`
      // Entries of seven messages; the oldest stored message is in the middle of one.
      for (let from = 1; from <= 42; from += 7) await driver.append(name, Array.from({ length: 7 }, (_, n) => ({ data: `${from + n}` })), RETENTION)
      const [one, other] = [over.channel<number>(name, { retention: { maxMessages: 30 } }), over.channel<number>(`other ${name}`)]
      over.route('/c', () => several ? over.channels({ other, one }) : one)
      await other.publish(0)
      const source = open(`${over.url}/c`, { transports: [transport], position: '-4', ...several && { channel: 'one' } })
      const seen = follow(source)
      await eventually(() => expect(seen).toEqual([39, 40, 41, 42]))
      const { first } = await driver.read(name, 0, { messages: 0, bytes: 0 })
      const past: unknown[] = []
      for (let page = await source.loadOlder(5); page.length; page = await source.loadOlder(5)) {
        expect(page.length).toBeLessThanOrEqual(5)
        past.unshift(...data(page))
      }
      expect(past).toEqual(Array.from({ length: 39 - first }, (_, n) => first + n))
      expect(past.length).toBeGreaterThan(20)
      await one.publish(43)
      await eventually(() => expect(seen.at(-1)).toBe(43))
      source.close()
    }
    finally {
      await over.close()
      await driver.close()
    }
  })
})

describe('the request for older messages', () => {
  it('uses the call\'s method, query, headers and body, and the key of its channel', async () => {
    const { server } = harness
    server.script(
      x => x.open({ position: 'a:e1.0,b:e2.4', resumed: false, channels: { a: { position: 'e1.0', resumed: false }, b: { position: 'e2.4', resumed: false } } }).write(message(5, 'b:e2.5', 'b')),
      x => x.status(200, { type: 'page', messages: [{ id: 'b:e2.4', channel: 'b', data: 4 }], hasOlder: true }),
      x => x.status(200, { type: 'page', messages: [], hasOlder: false }),
    )
    let token = 0
    const source = harness.open({ method: 'POST', query: { a: 1 }, headers: () => ({ token: `${++token}` }), body: { x: 1 }, channel: 'b', position: 'now' })
    const seen = follow(source)
    await eventually(() => expect(seen).toEqual([5]))
    expect(data(await source.loadOlder(7))).toEqual([4])
    expect(await source.loadOlder()).toEqual([])
    const [, first, second] = server.exchanges
    expect(first!.query).toEqual({ a: '1', transport: 'poll', before: 'b:e2.5', channel: 'b', limit: '7' })
    expect([first!.request.method, first!.body, first!.request.headers.token, first!.request.headers.accept]).toEqual(['POST', '{"x":1}', '2', 'application/json'])
    expect(second!.query).toMatchObject({ before: 'b:e2.4', limit: '50' })
  })

  it('a failure rejects, changes nothing, and the next call requests the same messages', async () => {
    const { server } = harness
    const gap = { reason: 'epoch', missed: null, position: 'e2.0' }
    server.script(
      x => x.open({ position: 'e1.4' }).write(message(5, 'e1.5')),
      x => x.status(503, { message: 'busy', data: { code: 'BUSY' } }),
      x => x.cut(),
      x => x.status(200, { type: 'batch', messages: [], position: 'e1.5' }),
      x => x.status(200, 'a page of the application'),
      x => x.status(200, { type: 'page', messages: [], hasOlder: false, gap }),
      x => x.status(200, { type: 'page', messages: [{ id: 'e1.4', data: 4 }], hasOlder: false }),
    )
    const source = harness.open({ transports: ['stream'] })
    const seen = follow(source)
    await eventually(() => expect(seen).toEqual([5]))
    const codes: string[] = []
    for (let n = 0; n < 5; n++) codes.push((await rejection(source.loadOlder())).code)
    expect(codes).toEqual(['BUSY', 'NETWORK', 'INVALID_BATCH', 'INVALID_BATCH', 'GAP'])
    expect(data(await source.loadOlder())).toEqual([4])
    expect(server.exchanges.slice(1).map(x => x.query.before)).toEqual(Array.from({ length: 6 }).fill('e1.5'))
    expect([source.status, source.error, source.gap]).toEqual(['connected', undefined, undefined])
  })

  it('after a gap counts from there, also for a page that was requested before', async () => {
    const { server } = harness
    server.script(
      x => x.open({ position: 'e1.4' }).write(message(5, 'e1.5')),
      (x) => {
        server.exchanges[0]!.write(control({ type: 'gap', reason: 'epoch', missed: null, position: 'e2.7' }))
        setTimeout(() => x.status(200, { type: 'page', messages: [{ id: 'e1.4', data: 4 }], hasOlder: true }), 20)
      },
      x => x.status(200, { type: 'page', messages: [{ id: 'e2.7', data: 7 }], hasOlder: true }),
    )
    const source = harness.open()
    const seen = follow(source)
    await eventually(() => expect(seen).toEqual([5]))
    const page = source.loadOlder()
    await eventually(() => expect(source.gap).toBeDefined())
    expect(data(await page)).toEqual([4])
    expect(data(await source.loadOlder())).toEqual([7])
    expect(server.exchanges[2]!.query.before).toBe('e2.8')
  })

  it('rejects where there is nothing to count from: another kind of server, several channels without a key, a closed source', async () => {
    const { server } = harness
    server.script(x => x.open({ restarts: true }).write(message(1)), x => x.stream(message(1, '7')), x => x.open({ position: 'a:e1.0', resumed: false, channels: { a: { position: 'e1.0', resumed: false } } }), x => x.status(403))
    for (const code of ['NOT_SUPPORTED', 'NOT_SUPPORTED', 'INVALID_OPTION', 'HTTP_ERROR']) {
      const source = harness.open()
      follow(source)
      expect((await rejection(source.loadOlder())).code).toBe(code)
      source.close()
      expect(await rejection(source.loadOlder())).toBeInstanceOf(SSEError)
    }
  })
})
