import { createError, defineEventHandler } from 'h3'
import { describe, expect, it } from 'vitest'
import { holderOf } from '../../../src/runtime/server/serve/client-key'
import { PublishRate } from '../../../src/runtime/server/limits/publish-rate'
import { eventually } from '../../support/conditions'
import { RawSocket } from '../../support/raw-http'
import { useSSEServers } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'

const startServer = useSSEServers()
let server: TestServer

const endless = () => undefined
const empty = () => expect(server.context.admissions.all).toMatchObject({ open: 0, clients: 0 })

describe('maxConnections', () => {
  it('admits exactly the maximum of simultaneous requests, before any handler has answered, and refuses only newcomers', async () => {
    server = await startServer({ maxConnections: 5 })
    const gate = Promise.withResolvers<void>()
    server.route('/', () => gate.promise)
    const asked = Array.from({ length: 20 }, () => fetch(`${server.url}/`))
    await eventually(() => expect(server.context.admissions.all.open).toBe(5))
    gate.resolve()
    const answers = await Promise.all(asked)
    const refused = answers.filter(({ status }) => status === 503)
    expect(refused).toHaveLength(15)
    for (const answer of refused) {
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect(await answer.json()).toMatchObject({ statusCode: 503, data: { code: 'TOO_MANY_CONNECTIONS' } })
    }
    expect(server.context.connections.size).toBe(5)
    for (const answer of answers) await answer.body?.cancel().catch(() => {})
    await eventually(empty)
  })

  // @guarantee clean
  it('gives a place back exactly once, however a request ends', async () => {
    server = await startServer({ maxConnections: 1, maxConnectionsPerClient: 1 })
    const ended = server.channel('ended')
    await ended.publish(1)
    await ended.end()
    const busy = Promise.withResolvers<void>()
    server.route('/throws', () => Promise.reject(new Error('no')))
    server.route('/invalid', () => 5)
    server.route('/ended', () => ended)
    server.route('/source', async function* () {
      yield 1
    })
    server.route('/busy', () => busy.promise)
    server.route('/poll', () => server.channel('feed'))
    for (let round = 0; round < 3; round++) {
      for (const [path, status] of [['/throws', 500], ['/invalid', 500], ['/ended?position=1', 204], ['/source', 200], ['/poll?transport=poll&waitMs=0', 200], ['/source?transport=poll', 406]] as const) {
        const answer = await fetch(server.url + path)
        expect([path, answer.status]).toEqual([path, status])
        await answer.text()
        await eventually(empty)
      }
      const leaving = new AbortController()
      const left = fetch(`${server.url}/busy`, { signal: leaving.signal }).catch(() => {})
      await eventually(() => expect(server.context.admissions.all.open).toBe(1))
      leaving.abort()
      await left
      await eventually(empty)
    }
    busy.resolve()
  })

  it('gives the place of a poll back when its client leaves, although the handler is busy', async () => {
    server = await startServer({ maxConnections: 1 })
    const busy = Promise.withResolvers<void>()
    const channel = server.channel('feed')
    let asked = 0
    server.route('/', async () => {
      if (asked++ === 0) await busy.promise
      return channel
    })
    const leaving = new AbortController()
    const left = fetch(`${server.url}/?transport=poll`, { signal: leaving.signal }).catch(() => {})
    await eventually(() => expect(asked).toBe(1))
    leaving.abort()
    await left
    await eventually(empty)
    const next = await fetch(`${server.url}/?transport=poll&waitMs=0`)
    expect(next.status).toBe(200)
    const last = fetch(`${server.url}/?transport=poll&waitMs=10000`)
    await eventually(() => expect(server.context.admissions.all.open).toBe(1))
    // The first handler returns now, and gives back only its own place.
    busy.resolve()
    await eventually(() => expect(asked).toBe(3))
    expect((await fetch(`${server.url}/?transport=poll`)).status).toBe(503)
    await channel.publish(1)
    expect((await last).status).toBe(200)
    await eventually(empty)
  })

  // @guarantee bounded
  it('holds the place of a poll until the client has read the answer: unread answers take memory', async () => {
    server = await startServer({ maxConnectionsPerClient: 1, maxMessageBytes: 2 ** 26 })
    const channel = server.channel('feed')
    // More than the buffers between two sockets take by themselves.
    await channel.publish('x'.repeat(2 ** 25))
    server.route('/', () => channel)
    const mute = await RawSocket.get(server.url, '/?transport=poll')
    mute.socket.pause()
    await eventually(() => expect(server.context.insight).toMatchObject({ polls: 0, pollsTotal: 1 }))
    expect((await fetch(`${server.url}/?transport=poll`)).status).toBe(429)
    mute.socket.resume()
    await eventually(empty, 20_000)
    const other = await RawSocket.get(server.url, '/?transport=poll')
    other.socket.pause()
    await eventually(() => expect(server.context.admissions.all.open).toBe(1))
    other.destroy()
    await eventually(empty)
  })

  it('on a handler counts that handler, in addition to the module; `false` exempts it', async () => {
    server = await startServer({ maxConnections: 2 })
    server.route('/one', endless, { maxConnections: 1 })
    server.route('/free', endless, { maxConnections: false })
    server.route('/other', endless)
    const statuses = []
    for (const path of ['/one', '/one', '/other', '/other', '/free']) statuses.push((await fetch(server.url + path)).status)
    expect(statuses).toEqual([200, 503, 200, 503, 200])
  })
})

describe('createSSEConnection', () => {
  it.each([
    [{ maxConnections: 2 }, 503, 'TOO_MANY_CONNECTIONS'],
    [{ maxConnectionsPerClient: 2 }, 429, 'TOO_MANY_CONNECTIONS_PER_CLIENT'],
  ])('is bounded by %j of the module, in addition to the handlers, and gives its places back once', async (limits, status, code) => {
    server = await startServer(limits)
    server.use('/raw', defineEventHandler(event => server.raw(event).send()))
    server.use('/free', defineEventHandler(event => server.raw(event, { maxConnections: false, maxConnectionsPerClient: false }).send()))
    server.use('/throws', defineEventHandler((event) => {
      server.raw(event)
      throw createError({ statusCode: 418 })
    }))
    server.route('/handler', endless)
    for (let round = 0; round < 3; round++) {
      expect((await fetch(`${server.url}/throws`)).status).toBe(418)
      await eventually(empty)
      const open = await Promise.all(['/raw', '/handler'].map(path => fetch(server.url + path)))
      expect(open.map(answer => answer.status)).toEqual([200, 200])
      const refused = await fetch(`${server.url}/raw`)
      expect([refused.status, await refused.json()]).toMatchObject([status, { data: { code } }])
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect((await fetch(`${server.url}/handler`)).status).toBe(status)
      open.push(await fetch(`${server.url}/free`))
      expect(open[2]!.status).toBe(200)
      for (const answer of open) await answer.body!.cancel()
      await eventually(empty)
    }
  })
})

describe('maxConnectionsPerClient', () => {
  it('is per address; X-Forwarded-For is trusted only as far as the app is configured to trust it', async () => {
    server = await startServer({ maxConnectionsPerClient: 1 })
    server.route('/direct', endless)
    server.route('/proxied', endless, { trustProxy: 1 })
    const status = async (path: string, forwarded: string) => (await fetch(server.url + path, { headers: { 'x-forwarded-for': forwarded } })).status
    expect([await status('/direct', '1.1.1.1'), await status('/direct', '2.2.2.2')]).toEqual([200, 429])
    // What is left of our proxy's entry is the client's own invention.
    expect([await status('/proxied', '9.9.9.1, 3.3.3.3'), await status('/proxied', '9.9.9.2, 3.3.3.3'), await status('/proxied', '4.4.4.4')]).toEqual([200, 429, 200])
  })

  it('is per holder of an address: the first 64 bits of an IPv6 address, since the holder chooses the rest freely', async () => {
    server = await startServer({ maxConnectionsPerClient: 1, trustProxy: 1 })
    server.route('/', endless)
    const status = async (forwarded: string) => (await fetch(server.url, { headers: { 'x-forwarded-for': forwarded } })).status
    expect([await status('2001:db8:0:1::1'), await status('2001:DB8::1:ffff:1:2:3'), await status('[2001:db8:0:1:9::]:443'), await status('2001:db8:0:2::1')]).toEqual([200, 429, 429, 200])
    expect([await status('5.5.5.5'), await status('5.5.5.5:1234'), await status('::ffff:5.5.5.5'), await status('5.5.5.6')]).toEqual([200, 429, 429, 200])
  })

  it.each([
    ['1.2.3.4', '1.2.3.4'], ['1.2.3.4:80', '1.2.3.4'], ['::ffff:1.2.3.4', '1.2.3.4'], ['[::ffff:1.2.3.4]:80', '1.2.3.4'],
    ['::1', '0:0:0:0::/64'], ['2001:db8::', '2001:db8:0:0::/64'], ['2001:0db8:0000:0001:aaaa:bbbb:cccc:dddd', '2001:db8:0:1::/64'],
    ['[2001:db8::1]', '2001:db8:0:0::/64'], ['fe80::1:2%eth0', 'fe80:0:0:0::/64'], ['1::2:3:4:5:6:7:8', '1:2:3:4::/64'],
    ['::ffff:102:304', '0:0:0:0:0:ffff:102:304'], ['64:ff9b::102:304', '64:ff9b:0:0:0:0:102:304'],
    ['unknown', 'unknown'], ['_hidden', '_hidden'], ['', ''], ['1:2:3:4:5:6:7:8:9:a', '1:2:3:4::/64'],
  ])('the holder of %s is %s', (address, holder) => {
    expect(holderOf(address)).toBe(holder)
  })

  it('takes no key that names no client: a promise would be another client each time', async () => {
    server = await startServer()
    server.route('/', endless, { maxConnectionsPerClient: 1, clientKey: (async () => 'me') as never })
    server.route('/run', async function* () {
      yield 1
    }, { resumable: true, clientKey: (async () => 'me') as never })
    for (const path of ['/', '/run']) expect((await fetch(server.url + path)).status).toBe(500)
    expect(server.reported).toHaveLength(2)
    expect(server.reported[0]).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('`clientKey`') })
    // Only the kind of limit: the response reaches the client, and a user record has fields that even the user may not see.
    server.route('/user', endless, { maxConnectionsPerClient: 1, clientKey: (() => ({ passwordHash: 'hush' })) as never })
    expect(await (await fetch(`${server.url}/user`)).text()).not.toContain('hush')
  })

  it('may be per user', async () => {
    server = await startServer()
    server.route('/', endless, { maxConnectionsPerClient: 1, clientKey: event => event.headers.get('x-user') ?? undefined })
    const ask = (user: string) => fetch(`${server.url}/`, { headers: { 'x-user': user } })
    expect([(await ask('a')).status, (await ask('b')).status]).toEqual([200, 200])
    const refused = await ask('a')
    expect([refused.status, await refused.json()]).toMatchObject([429, { data: { code: 'TOO_MANY_CONNECTIONS_PER_CLIENT' } }])
    expect(refused.headers.get('retry-after')).toMatch(/^[123]$/)
  })
})

describe('maxPublishPerSecond', () => {
  it('rejects at once beyond the rate, for one channel and not the others, and publishes nothing', async () => {
    server = await startServer({ maxPublishPerSecond: 3 })
    const [feed, other] = [server.channel('feed'), server.channel('other')]
    const results = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => feed.publish(i)))
    const refused = results.filter(result => result.status === 'rejected')
    expect(refused.length).toBeGreaterThanOrEqual(45)
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'PUBLISH_RATE', statusCode: 429, retry: true })
    expect((await feed.info()).lastOffset).toBe(50 - refused.length)
    await other.publish(1)
  })

  it('fills again with time, and forgets quiet channels', () => {
    let now = 0
    const rate = new PublishRate(() => now)
    rate.take('a', 1)
    expect(() => rate.take('a', 1)).toThrowError(expect.objectContaining({ code: 'PUBLISH_RATE' }))
    now = 1_000
    rate.take('a', 1)
    for (let i = 0; i < 10_000; i++) rate.take(`channel ${i}`, 1)
    now = 2_000
    rate.take('b', 1)
    expect(rate.size).toBe(1)
  })
})
