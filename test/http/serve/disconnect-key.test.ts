import { createError, getQuery } from 'h3'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Redis } from 'ioredis'
import { createSSEPublisher } from '../../../src/runtime/publisher'
import { openSSE } from '../../../src/runtime/client'
import { sendDisconnect } from '../../../src/runtime/server/channel/send-disconnect'
import type { SSEDisconnectOptions } from '../../../src/runtime/server/channel/send-disconnect'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { createRedisDriver } from '../../../src/runtime/server/drivers/redis/redis'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { SSEError } from '../../../src/runtime/shared/errors'
import { createFailingDriver } from '../../../src/runtime/test'
import { eventually, LOADED_MS } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { TestRedis } from '../../support/redis'
import type { RedisProxy } from '../../support/redis-proxy'
import { startRedisProxy } from '../../support/redis-proxy'
import type { TestServer } from '../../support/sse-server'
import { useSSEServers } from '../../support/sse-server'

const start = useSSEServers()
const { retention } = DEFAULT_HANDLER_OPTIONS
const clientKey = (event: { node: { req: { headers: Record<string, string | string[] | undefined> } } }) => event.node.req.headers['x-user'] as string | undefined

/** Routes of every kind, all with the key in `x-user`. */
function addRoutes(server: TestServer): void {
  server.route('/feed', () => server.channel('feed'), { clientKey })
  server.route('/source', async function* () {
    yield 1
    await new Promise(() => {})
  } as never, { clientKey })
  server.route('/push', (_, connection) => void connection.push(1), { clientKey })
  server.route('/open', () => server.channel('feed'))
}
const as = (user: string): RequestInit => ({ headers: { 'x-user': user } })
const disconnect = (server: TestServer, key: string, options?: SSEDisconnectOptions) => sendDisconnect(server.context, key, options)
const lastOf = (reader: SSEReader) => reader.controls.at(-1)
const ended = { type: 'error', code: 'DISCONNECTED', statusCode: 401, message: 'You were disconnected.', retry: false }

async function withRoutes(driver: LogDriver): Promise<TestServer> {
  const server = await start({ retryMs: 50, pollWaitMs: 20_000 }, driver)
  addRoutes(server)
  return server
}

describe('on one server', () => {
  let server: TestServer
  beforeEach(async () => void (server = await withRoutes(createMemoryDriver(retention))))

  /** Resolves when the disconnect was performed. */
  async function disconnectAndSee(options?: SSEDisconnectOptions): Promise<void> {
    const witness = await SSEReader.open(`${server.url}/push`, as('a'))
    await disconnect(server, 'a', options)
    await witness.finished
  }

  // @guarantee disconnect
  it('ends every stream of the key, of any source, and no other', async () => {
    const paths = ['/feed', '/source', '/push']
    const mine = await Promise.all(paths.map(path => SSEReader.open(server.url + path, as('a'))))
    const others = await Promise.all([...paths.map(path => SSEReader.open(server.url + path, as('b'))), SSEReader.open(`${server.url}/open`, as('a')), SSEReader.open(`${server.url}/feed`)])
    await disconnect(server, 'a')
    for (const reader of mine) {
      await reader.finished
      expect(reader.cut).toBe(false)
      expect(lastOf(reader)).toEqual(ended)
    }
    await server.channel('feed').publish('still here')
    for (const reader of others) {
      expect(lastOf(reader)).toMatchObject({ type: 'open' })
      reader.close()
    }
    await eventually(() => expect(server.context.disconnects.size).toBe(0))
  })

  it('has the code, the status and the text that the application gives', async () => {
    const reader = await SSEReader.open(`${server.url}/feed`, as('a'))
    await disconnect(server, 'a', { code: 'BANNED', statusCode: 403, message: 'You are banned.', leave: false })
    await reader.finished
    expect(lastOf(reader)).toEqual({ type: 'error', code: 'BANNED', statusCode: 403, message: 'You are banned.', retry: false })
    const other = await SSEReader.open(`${server.url}/feed`, as('a'))
    await disconnect(server, 'a', { code: undefined, statusCode: undefined, message: undefined, leave: undefined })
    await other.finished
    expect(lastOf(other)).toEqual(ended)
  })

  // @guarantee disconnect
  it('`leave` makes clients reconnect through the handler\'s checks', async () => {
    const reader = await SSEReader.open(`${server.url}/feed`, as('a'))
    await disconnect(server, 'a', { leave: true })
    await reader.finished
    expect(lastOf(reader)).toMatchObject({ type: 'leave' })
    let allowed = true
    server.route('/checked', () => {
      if (!allowed) throw Object.assign(new Error('no'), { statusCode: 403, __h3_error__: true })
      return server.channel('feed')
    }, { clientKey })
    const source = openSSE(`${server.url}/checked`, { headers: { 'x-user': 'a' } })
    const reading = (async () => {
      for await (const _ of source) continue
    })()
    reading.catch(() => {})
    await eventually(() => expect(source.status).toBe('connected'))
    allowed = false
    await disconnect(server, 'a', { leave: true })
    await expect(reading).rejects.toMatchObject({ statusCode: expect.any(Number) as number })
  })

  // @guarantee disconnect
  it('our client stays away, and shows why', async () => {
    let requests = 0
    server.server.on('request', () => requests++)
    for (const transports of [['stream'], ['poll']] as const) {
      const source = openSSE(`${server.url}/feed`, { headers: { 'x-user': 'a' }, transports: [...transports] })
      const reading = (async () => {
        for await (const _ of source) continue
      })()
      const failed = expect(reading).rejects.toMatchObject({ code: 'DISCONNECTED', statusCode: 401, retry: false })
      await eventually(() => expect(server.context.disconnects.size).toBe(1))
      await eventually(() => expect(source.status).toBe('connected'))
      if (transports[0] === 'poll') await eventually(() => expect(server.left().channels).toBe(1))
      await disconnect(server, 'a')
      await failed
    }
    const before = requests
    await new Promise(resolve => setTimeout(resolve, 200))
    expect(requests).toBe(before)
  })

  // @guarantee disconnect
  it('ends a waiting poll with the error; with `leave` it is an empty batch', async () => {
    const poll = () => fetch(`${server.url}/feed?transport=poll`, as('a'))
    const waiting = async () => {
      const answer = poll()
      await eventually(() => expect(server.left().channels).toBe(1))
      return answer
    }
    const refused = waiting()
    await eventually(() => expect(server.left().channels).toBe(1))
    await disconnect(server, 'a')
    const answer = await refused
    expect(answer.status).toBe(401)
    expect(await answer.json()).toMatchObject({ message: 'You were disconnected.', data: { code: 'DISCONNECTED' } })
    const left = poll()
    await eventually(() => expect(server.left().channels).toBe(1))
    await disconnect(server, 'a', { leave: true })
    expect(await (await left).json()).toMatchObject({ type: 'batch', messages: [], ended: false })
  })

  // @guarantee disconnect
  it('a request whose handler is at work is ended as soon as its checks are through', async () => {
    for (const [query, options] of [['', {}], ['?transport=poll', {}], ['', { leave: true }], ['?transport=poll', { leave: true }]] as const) {
      const [checks, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const path = `/slow${Math.random()}`
      server.route(path, async () => {
        begun.resolve()
        await checks.promise
        return server.channel('feed')
      }, { clientKey })
      const answer = fetch(`${server.url}${path}${query}`, as('a'))
      await begun.promise
      await disconnectAndSee(options)
      checks.resolve()
      const response = await answer
      if (!('leave' in options)) expect(response.status).toBe(401)
      else if (query) expect(await response.json()).toMatchObject({ type: 'batch', messages: [] })
      else expect(await response.text()).toContain('"type":"leave"')
    }
  })

  it('releases a source that was made by a handler whose request is over', async () => {
    const [checks, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let released = 0
    server.route('/late', async () => {
      begun.resolve()
      await checks.promise
      return { [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 1 }), return: () => ({ done: true, value: released++ }) }) }
    }, { clientKey })
    const answer = fetch(`${server.url}/late`, as('a'))
    await begun.promise
    await disconnectAndSee()
    checks.resolve()
    expect((await answer).status).toBe(401)
    expect(released).toBe(1)
  })

  it.each<[string, unknown]>([
    ['an empty one', ''], ['none', undefined], ['a number', 7], ['half a character', 'a\uD800'], ['513 bytes', 'x'.repeat(513)], ['more bytes than characters', 'é'.repeat(257)], ['an object', {}],
  ])('refuses a key that is %s, and ends nothing', async (_, key) => {
    const reader = await SSEReader.open(`${server.url}/feed`, as('a'))
    await expect(disconnect(server, key as string)).rejects.toMatchObject({ code: 'INVALID_OPTION', statusCode: 400 })
    expect(lastOf(reader)).toMatchObject({ type: 'open' })
    reader.close()
  })

  it.each<[string, unknown]>([
    ['an unknown option', { reason: 'x' }], ['an empty code', { code: '' }], ['a status of success', { statusCode: 200 }], ['a long message', { message: 'x'.repeat(1_001) }], ['a leave that is none', { leave: 1 }],
  ])('refuses %s', async (_, options) => {
    await expect(disconnect(server, 'a', options as SSEDisconnectOptions)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })

  // @guarantee disconnect
  it('a hostile key of 512 bytes is a key like any other', async () => {
    const keys = ['é'.repeat(256), '__proto__', 'constructor', '{"key":"b"}', 'a}b{c', '\u2028"\\']
    for (const key of keys) {
      server.route(`/${keys.indexOf(key)}`, () => server.channel('feed'), { clientKey: () => key })
      const mine = await SSEReader.open(`${server.url}/${keys.indexOf(key)}`)
      const other = await SSEReader.open(`${server.url}/feed`, as('b'))
      await disconnect(server, key)
      await mine.finished
      expect(lastOf(mine)).toEqual(ended)
      expect(lastOf(other)).toMatchObject({ type: 'open' })
      other.close()
    }
  })

  it('its internal channel is no channel of an application', () => {
    for (const name of ['nuxt-sse:disconnects', 'nuxt-sse:']) expect(() => server.channel(name)).toThrow(expect.objectContaining({ code: 'INVALID_CHANNEL' }))
  })

  it('subscribes once, and only where a request has a key', async () => {
    let subscribed = 0
    const inner = createMemoryDriver(retention)
    const plain = await withRoutes({ ...inner, subscribe: (name, listener) => {
      if (name.startsWith('nuxt-sse:')) subscribed++
      return inner.subscribe(name, listener)
    } })
    const readers = [await SSEReader.open(`${plain.url}/open`, as('a')), await SSEReader.open(`${plain.url}/feed`)]
    expect(subscribed).toBe(0)
    readers.push(...await Promise.all(Array.from({ length: 5 }, () => SSEReader.open(`${plain.url}/feed`, as('a')))))
    expect(subscribed).toBe(1)
    for (const reader of readers) reader.close()
  })
})

describe('where the driver cannot be reached', () => {
  // @guarantee disconnect
  it('the call rejects, and ends nothing', async () => {
    const driver = createFailingDriver(createMemoryDriver(retention))
    const server = await withRoutes(driver)
    const reader = await SSEReader.open(`${server.url}/push`, as('a'))
    driver.fail('append', { times: 1 })
    await expect(disconnect(server, 'a')).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    expect(lastOf(reader)).toMatchObject({ type: 'open' })
    await disconnect(server, 'a')
    await reader.finished
    expect(lastOf(reader)).toEqual(ended)
  })

  // @guarantee disconnect
  it('streams that opened before the subscription reconnect when it is there', async () => {
    const driver = createFailingDriver(createMemoryDriver(retention))
    const server = await withRoutes(driver)
    driver.fail('subscribe')
    const reader = await SSEReader.open(`${server.url}/push`, as('a'))
    await reader.until(() => reader.messages.length > 0)
    driver.heal()
    await reader.finished
    expect(lastOf(reader)).toMatchObject({ type: 'leave' })
  })

  // @guarantee disconnect
  it('where messages were lost for good, all streams of keys reconnect', async () => {
    const driver = createMemoryDriver(retention)
    const server = await withRoutes(driver)
    const reader = await SSEReader.open(`${server.url}/push`, as('a'))
    const open = await SSEReader.open(`${server.url}/open`, as('a'))
    await driver.append('nuxt-sse:disconnects', [{ data: '{"key":"x"}' }], retention)
    await driver.remove('nuxt-sse:disconnects')
    await reader.finished
    expect(lastOf(reader)).toMatchObject({ type: 'leave' })
    expect(lastOf(open)).toMatchObject({ type: 'open' })
    open.close()
  })

  it('what is no disconnect is ignored', async () => {
    const driver = createMemoryDriver(retention)
    const server = await withRoutes(driver)
    const reader = await SSEReader.open(`${server.url}/push`, as('a'))
    await driver.append('nuxt-sse:disconnects', ['null', '1', '{}', '{"key":7}', '"a"', '[]'].map(data => ({ data })), retention)
    await disconnect(server, 'a')
    await reader.finished
    expect(lastOf(reader)).toEqual(ended)
  })
})

describe('two servers on one Redis', () => {
  let redis: TestRedis
  beforeAll(async () => void (redis = await TestRedis.start()))
  afterAll(() => redis.stop())

  const driverOf = (url = redis.url, timeoutMs = 2_000) => createRedisDriver({ timeoutMs, report: () => {}, createClient: settings => new Redis(url, settings) }, retention)

  // @guarantee disconnect
  it('1,000 streams of 100 keys: those of one end on both at once, and no other stream ends', async () => {
    const servers = [await withRoutes(driverOf()), await withRoutes(driverOf())]
    const readers = new Map<number, SSEReader[]>()
    for (let key = 0; key < 100; key++) {
      readers.set(key, await Promise.all(Array.from({ length: 10 }, (_, n) => SSEReader.open(`${servers[n % 2]!.url}/${n % 4 < 2 ? 'feed' : 'push'}`, as(`user ${key}`)))))
    }
    const polls = servers.map(server => fetch(`${server.url}/feed?transport=poll`, as('user 7')))
    await eventually(() => expect(servers.map(server => server.context.insight.polls)).toEqual([1, 1]))
    const began = performance.now()
    await disconnect(servers[0]!, 'user 7')
    await Promise.all(readers.get(7)!.map(({ finished }) => finished))
    for (const answer of await Promise.all(polls)) expect(answer.status).toBe(401)
    expect(performance.now() - began).toBeLessThan(LOADED_MS)
    for (const reader of readers.get(7)!) expect(lastOf(reader)).toEqual(ended)
    readers.delete(7)
    const others = [...readers.values()].flat()
    expect(others.filter(reader => lastOf(reader)?.type !== 'open')).toEqual([])
    for (const reader of others) reader.close()
    for (const server of servers) await eventually(() => expect(server.context.disconnects.size).toBe(0))
  })

  // @guarantee disconnect
  it('`leave` brings clients of both servers back through the handler\'s checks, and those that it refuses stay away', async () => {
    const servers = [await withRoutes(driverOf()), await withRoutes(driverOf())]
    const refused = new Set<string>()
    for (const server of servers) {
      server.route('/checked', (event) => {
        if (refused.has(String(getQuery(event).session))) throw createError({ statusCode: 403 })
        return server.channel('checked')
      }, { clientKey })
    }
    const clients = ['1', '2', '3', '4'].map((session, index) => {
      const source = openSSE<number>(`${servers[index % 2]!.url}/checked?session=${session}`, { headers: { 'x-user': 'a' }, transports: index < 2 ? ['stream'] : ['poll'], reconnect: { minDelayMs: 1, maxDelayMs: 50 } })
      const seen: number[] = []
      const reading = (async () => {
        for await (const { data } of source) seen.push(data)
      })()
      const failed = reading.then(() => undefined, (error: SSEError) => error)
      return { source, session, seen, failed }
    })
    await servers[0]!.channel('checked').publish(1)
    await eventually(() => expect(clients.map(({ seen }) => seen)).toEqual([[1], [1], [1], [1]]))
    refused.add('1').add('4')
    await disconnect(servers[1]!, 'a', { leave: true })
    for (const { failed } of [clients[0]!, clients[3]!]) expect(await failed).toMatchObject({ statusCode: 403 })
    await servers[1]!.channel('checked').publish(2)
    await eventually(() => expect(clients.map(({ seen }) => seen)).toEqual([[1], [1, 2], [1, 2], [1]]))
    expect(clients.map(({ source }) => source.status)).toEqual(['closed', 'connected', 'connected', 'closed'])
    for (const { source } of clients) source.close()
  })

  // @guarantee disconnect
  it('an instance whose subscription is cut at that moment performs it when it is back', async () => {
    const [near, far] = [await withRoutes(driverOf()), await withRoutes(driverOf())]
    const admin = new Redis(redis.url)
    try {
      for (let round = 0; round < 5; round++) {
        const readers = await Promise.all([near, far].map(server => SSEReader.open(`${server.url}/push`, as(`cut ${round}`))))
        const other = await SSEReader.open(`${far.url}/push`, as('other'))
        await Promise.all([admin.client('KILL', 'TYPE', 'pubsub'), disconnect(near, `cut ${round}`)])
        for (const reader of readers) {
          await reader.finished
          expect(lastOf(reader)).toEqual(ended)
        }
        expect(lastOf(other)).toMatchObject({ type: 'open' })
        other.close()
      }
    }
    finally {
      admin.disconnect()
    }
  })

  // @guarantee disconnect
  it('while Redis hangs, the call rejects within the time limit, and is not performed later', async () => {
    const hanging = await TestRedis.start()
    try {
      const server = await withRoutes(driverOf(hanging.url, 400))
      const [mine, other] = [await SSEReader.open(`${server.url}/push`, as('a')), await SSEReader.open(`${server.url}/push`, as('b'))]
      hanging.pause()
      const began = performance.now()
      await expect(disconnect(server, 'a')).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
      expect(performance.now() - began).toBeLessThan(LOADED_MS)
      hanging.resume()
      await eventually(() => disconnect(server, 'b'))
      await other.finished
      expect(lastOf(other)).toEqual(ended)
      // Disconnects are read in their order: one of `a` would have come before.
      expect(lastOf(mine)).toMatchObject({ type: 'open' })
      mine.close()
    }
    finally {
      await hanging.stop()
    }
  })

  // @guarantee disconnect
  it('a hostile key of 512 bytes reaches both servers as it is', async () => {
    const servers = [await withRoutes(driverOf()), await withRoutes(driverOf())]
    const keys = ['é'.repeat(256), '\0'.repeat(512), '{"key":"b"}\r\n\r\ndata: x'.padEnd(512, '}'), '"'.repeat(512), '\u{1F600}'.repeat(128), '__proto__']
    for (const [index, key] of keys.entries()) {
      for (const server of servers) server.route(`/hostile/${index}`, () => server.channel('feed'), { clientKey: () => key })
      const mine = await Promise.all(servers.map(server => SSEReader.open(`${server.url}/hostile/${index}`)))
      const other = await SSEReader.open(`${servers[1]!.url}/feed`, as('b'))
      await disconnect(servers[0]!, key)
      for (const reader of mine) {
        await reader.finished
        expect(lastOf(reader)).toEqual(ended)
      }
      expect(lastOf(other)).toMatchObject({ type: 'open' })
      other.close()
    }
  })

  // @guarantee disconnect, publisher
  it('a publisher reaches them as well', async () => {
    const server = await withRoutes(driverOf())
    await using publisher = createSSEPublisher({ redis: { url: redis.url } })
    const reader = await SSEReader.open(`${server.url}/push`, as('a'))
    await publisher.disconnect('a')
    await reader.finished
    expect(lastOf(reader)).toEqual(ended)
  })

  // @guarantee disconnect
  it('an instance whose connections were cut performs it after it has reconnected; meanwhile a caller there is refused in time', async () => {
    const proxy: RedisProxy = await startRedisProxy(redis.port)
    try {
      const [near, far] = [await withRoutes(driverOf()), await withRoutes(driverOf(proxy.url, 300))]
      const readers = [await SSEReader.open(`${far.url}/push`, as('a')), await SSEReader.open(`${far.url}/push`, as('b'))]
      proxy.stop()
      await disconnect(near, 'a')
      const began = performance.now()
      await expect(disconnect(far, 'b')).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
      expect(performance.now() - began).toBeLessThan(LOADED_MS)
      expect(lastOf(readers[0]!)).toMatchObject({ type: 'open' })
      proxy.start()
      await readers[0]!.finished
      expect(lastOf(readers[0]!)).toEqual(ended)
      expect(lastOf(readers[1]!)).toMatchObject({ type: 'open' })
      readers[1]!.close()
    }
    finally {
      await proxy.close()
    }
  })
})
