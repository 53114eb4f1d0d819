import { AsyncLocalStorage } from 'node:async_hooks'
import { createHooks } from 'hookable'
import { getHeader } from 'h3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRedisDriver } from '../../../src/runtime/server/drivers/redis/redis'
import { redisConnector } from '../../../src/runtime/server/drivers/redis/connection/connect'
import { loadIoredis } from '#sse/ioredis'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import type { SSEHooks } from '../../../src/runtime/server/insight/hooks'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { SSEHandlerOptions } from '../../../src/runtime/server/options'
import { eventually } from '../../support/conditions'
import { collected } from '../../support/garbage'
import { SSEReader } from '../../support/read-sse'
import type { TestRedis } from '../../support/redis'
import { startRedis } from '../../support/redis'
import type { TestServer } from '../../support/sse-server'
import { useSSEServers } from '../../support/sse-server'

interface Store { user: string }

const storage = new AsyncLocalStorage<Store>()
const user = () => storage.getStore()?.user

const startServer = useSSEServers()
let server: TestServer

/** Each request has its own store, as with `asyncContext` of Nitro. */
async function start(options: SSEHandlerOptions = {}, driver?: LogDriver, onStore: (store: Store) => void = () => {}): Promise<void> {
  server = await startServer({ retryMs: 20, ...options }, driver)
  const { handler } = server.app
  server.app.handler = (event) => {
    const store = { user: getHeader(event, 'x-user')! }
    onStore(store)
    return storage.run(store, () => handler(event))
  }
}

async function open(as: string, path = '/'): Promise<SSEReader> {
  const reader = await SSEReader.open(server.url + path, { headers: { 'x-user': as } })
  await reader.until(({ controls }) => controls.length > 0)
  return reader
}

describe('a check of revalidate', () => {
  it('runs in its own request, whichever request opened a stream first', async () => {
    await start({ heartbeatMs: 10 })
    const banned = new Set<string>()
    const checked: Record<string, (string | undefined)[]> = { a: [], b: [], c: [] }
    server.route('/', () => undefined, {
      revalidate: {
        everyMs: 20,
        async check(event) {
          checked[getHeader(event, 'x-user')!]!.push(user())
          await Promise.resolve()
          return !banned.has(user()!)
        },
      },
    })
    const readers = { a: await open('a'), b: await open('b'), c: await open('c') }
    await eventually(() => expect(Object.values(checked).every(({ length }) => length > 2)).toBe(true))
    banned.add('b')
    await readers.b.finished
    banned.add('a')
    await readers.a.finished
    const before = checked.c!.length
    await eventually(() => expect(checked.c!.length).toBeGreaterThan(before + 2))
    for (const [own, users] of Object.entries(checked)) expect(new Set(users)).toEqual(new Set([own]))
    expect(readers.c.controls).toHaveLength(1)
    await readers.c.close()
  })
})

describe('clean-ups and sources', () => {
  const ends: [string, SSEHandlerOptions, (reader: SSEReader) => unknown][] = [
    ['a disconnect', {}, reader => reader.close()],
    ['a maximum lifetime', { maxLifetimeMs: 50 }, reader => reader.finished],
    ['another request that ends the stream', {}, () => open('c', '/end')],
    ['a shutdown', {}, () => storage.run({ user: 'c' }, () => server.context.leave())],
  ]
  it.each(ends)('run in the request that gave them, ended by %s', async (_, options, end) => {
    await start({ heartbeatMs: 10, ...options })
    const ran: [own: string, what: string, seen: string | undefined][] = []
    const leaves: (() => void)[] = []
    server.route('/push', (event, connection) => {
      const own = getHeader(event, 'x-user')!
      leaves.push(() => connection.leave())
      connection.onClosed(() => void ran.push([own, 'onClosed', user()]))
      connection.onClosed(async () => {
        await Promise.resolve()
        ran.push([own, 'async', user()])
      })
      connection.signal.addEventListener('abort', () => ran.push([own, 'abort', user()]))
      return () => void ran.push([own, 'returned', user()])
    })
    server.route('/generator', async function* (event, connection) {
      const own = getHeader(event, 'x-user')!
      leaves.push(() => connection.leave())
      const ended = new Promise<void>(resolve => connection.signal.addEventListener('abort', () => resolve()))
      try {
        yield user()
        await ended
      }
      finally {
        ran.push([own, 'finally', user()])
      }
    })
    server.route('/iterator', (event, connection) => {
      const own = getHeader(event, 'x-user')!
      leaves.push(() => connection.leave())
      const iterator = {
        next: () => new Promise<never>(() => {}),
        async return() {
          ran.push([own, 'return', user()])
          return { done: true as const, value: undefined }
        },
      }
      return { [Symbol.asyncIterator]: () => iterator }
    })
    server.route('/end', () => {
      for (const leave of leaves) leave()
      return () => {}
    })
    const all = ['onClosed', 'async', 'abort', 'returned', 'finally', 'return']
    // The first has created what all share.
    const first = await open('z', '/push')
    const readers = await Promise.all(['a', 'b'].flatMap(own => ['/push', '/generator', '/iterator'].map(path => open(own, path))))
    for (const reader of readers) await end(reader)
    const expected = ['a', 'b'].flatMap(own => all.map(what => [own, what, own]))
    await eventually(() => expect(ran.filter(([own]) => own !== 'z').sort()).toEqual(expected.sort()))
    await first.close()
  })
})

describe('hooks', () => {
  it('run in the context of their stream\'s request', async () => {
    const driver = { ...(await import('../../../src/runtime/server/drivers/memory/memory')).createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention) }
    const { read } = driver
    let failing = false
    driver.read = async (...args) => {
      if (failing) throw new Error('away')
      return read(...args)
    }
    await start({ heartbeatMs: 10, maxLifetimeMs: 300 }, driver)
    const hooks = createHooks<SSEHooks>()
    const told: [hook: string, of: string | undefined, seen: string | undefined][] = []
    hooks.hook('sse:open', ({ event }) => void told.push(['open', getHeader(event, 'x-user'), user()]))
    hooks.hook('sse:close', ({ event }) => void told.push(['close', getHeader(event, 'x-user'), user()]))
    hooks.hook('sse:gap', ({ channel }) => void told.push(['gap', channel, user()]))
    hooks.hook('sse:error', ({ where }) => void told.push([where, user(), user()]))
    server.context.insight.hooks = { isHeard: () => true, call: hooks.callHook as (name: string, payload: unknown) => unknown }

    const pushes: ((data: unknown) => unknown)[] = []
    // Opened by a push that another request makes.
    server.route('/push', async (_, connection) => {
      pushes.push(data => connection.push(data))
      await connection.signal
      await new Promise<void>(resolve => connection.onClosed(resolve))
    })
    server.route('/channel', event => server.channel(getHeader(event, 'x-user')!))
    await server.channel('a').publish(1)
    await server.channel('b').publish(1)
    const readers = await Promise.all(['a', 'b'].map(own => open(own, '/channel')))
    const pushed = ['a', 'b'].map(own => SSEReader.open(`${server.url}/push`, { headers: { 'x-user': own } }))
    await eventually(() => expect(pushes).toHaveLength(2))
    storage.run({ user: 'c' }, () => pushes.forEach(push => push(1)))
    // A gap, reported while another request deletes the channel.
    await storage.run({ user: 'c' }, async () => {
      for (const name of ['a', 'b']) await server.channel(name).delete()
    })
    await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.some(({ type }) => type === 'gap'))))
    await Promise.all([...readers, ...await Promise.all(pushed)].map(reader => reader.finished))
    await eventually(() => expect(told.filter(([hook]) => hook === 'close')).toHaveLength(4))
    expect(told.filter(([hook]) => hook === 'open')).toHaveLength(4)
    expect(told.filter(([hook]) => hook === 'gap')).toHaveLength(2)
    for (const [hook, of, seen] of told) expect([hook, of, seen]).toEqual([hook, of, of])
    failing = false
  })
})

describe('state that belongs to the process', () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  const drivers: [string, () => Promise<LogDriver | undefined>][] = [
    ['memory', async () => undefined],
    ['redis', async () => {
      const ioredis = await loadIoredis()
      const connect = redisConnector({ url: redis.url })
      return createRedisDriver({ keyPrefix: `als-${Math.random()}:`, createClient: settings => connect(ioredis, settings) }, DEFAULT_HANDLER_OPTIONS.retention)
    }],
  ]
  it.each(drivers)('keeps no request of clients that have left: %s', async (_, driver) => {
    const watch = collected()
    await start({ heartbeatMs: 20, resumeWindowMs: 1_000, leaseMs: 3_000 }, await driver(), store => store.user.startsWith('leaves') && watch.add(store))
    server.route('/channel', () => server.channel('shared'), { revalidate: { everyMs: 20, check: () => true } })
    server.route('/publish', async () => {
      await server.channel('shared').publish(user())
      return server.channel('shared')
    })
    server.route('/run', () => server.channel('run').run(() => [1, 2, 3], { onLost: 'restart' }))
    server.route('/stands-by', () => server.channel('other').run(() => [1], { onLost: 'restart' }))
    server.route('/resumable', async function* () {
      yield* [1, 2, 3]
    }, { resumable: true })
    server.route('/push', (_event, connection) => {
      connection.onClosed(() => {})
      return () => {}
    })
    const paths = ['/channel', '/publish', '/run', '/resumable', '/push']
    const leaving = await Promise.all([...paths, ...paths].map((path, index) => open(`leaves ${index}`, path)))
    // These continue, using what the others have started.
    const staying = await Promise.all(['/channel', '/push'].map(path => open('stays', path)))
    await Promise.all(leaving.map(reader => reader.close()))
    await eventually(() => expect(server.context.connections.size).toBe(2))
    await watch.atLeast(leaving.length)
    await Promise.all(staying.map(reader => reader.close()))
  })
})
