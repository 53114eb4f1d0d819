import { beforeEach, describe, expect, it } from 'vitest'
import { getQuery } from 'h3'
import { eventually } from '../../support/conditions'
import { control, message } from '../../support/scripted-server'
import { useSSEServer } from '../../support/sse-server'
import { END, useHarness } from './harness'
import { share, useSharers } from './sharer'

const harness = useHarness()
useSharers()

describe('one connection for all identical requests of a page', () => {
  // @guarantee shared-close
  it('the first to leave does not close it for the other, the last does', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const first = share(server.url)
    const second = share(server.url)
    await eventually(() => expect([first.seen, second.seen]).toEqual([[1], [1]]))
    first.stop()
    expect(first.state).toMatchObject({ status: 'closed', position: 'e1.1', error: undefined })
    server.exchanges[0]!.write(message(2, 'e1.2'))
    await eventually(() => expect(second.seen).toEqual([1, 2]))
    expect(first.seen).toEqual([1])
    second.stop()
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
    expect(server.exchanges).toHaveLength(1)
  })

  // @guarantee shared-close
  it('the key holds method, URL, query, headers, body, credentials and transports, with functions called', async () => {
    const { server } = harness
    server.script(x => x.open())
    const different = [
      {},
      { method: 'POST' },
      { query: { a: 1 } },
      { query: () => ({ a: 2 }) },
      { headers: { authorization: 'a' } },
      { headers: async () => ({ authorization: 'b' }) },
      { method: 'POST', body: { a: 1 } },
      { method: 'POST', body: () => ({ a: 2 }) },
      { method: 'POST', body: new URLSearchParams({ a: '1' }) },
      { method: 'POST', body: new URLSearchParams({ a: '1' }) },
      { credentials: 'include' as const },
      { transports: ['stream' as const] },
    ]
    const sharers = different.map(options => share(server.url, options))
    sharers.push(share(`${server.url}other`))
    // An identical request in another notation.
    const same = [
      share(server.url, { query: () => ({ a: 1 }) }),
      share(server.url, { headers: () => new Headers({ Authorization: 'a' }) }),
      share(server.url, { method: 'post', body: async () => ({ a: 1 }) }),
    ]
    await eventually(() => expect([...sharers, ...same].map(one => one.state.status)).toEqual(Array.from({ length: 16 }).fill('connected')))
    expect(server.exchanges).toHaveLength(13)
  })

  it('a call that begins after the position of the connection has its own position before its first message', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const first = share(server.url)
    await eventually(() => expect(first.seen).toEqual([1]))
    const second = share(server.url, { position: 'e1.3' })
    await eventually(() => expect(second.state).toMatchObject({ status: 'connected', position: 'e1.3' }))
    for (const n of [2, 3, 4]) server.exchanges[0]!.write(message(n, `e1.${n}`))
    await eventually(() => expect([first.seen, second.seen]).toEqual([[1, 2, 3, 4], [4]]))
    expect(server.exchanges).toHaveLength(1)
  })

  it('reads the options of a member that is still there', async () => {
    const { server } = harness
    let token = 'same'
    server.script(x => x.open(), x => x.open())
    const first = share(server.url, { headers: () => ({ token }) })
    const second = share(server.url, { headers: () => ({ token: token === 'same' ? token : 'of the second' }) })
    await eventually(() => expect([first.state.status, second.state.status]).toEqual(['connected', 'connected']))
    token = 'another'
    first.stop()
    server.exchanges[0]!.cut()
    await eventually(() => expect(server.exchanges).toHaveLength(2))
    expect(server.exchanges[1]!.request.headers.token).toBe('of the second')
  })

  it('an option that throws is reported, and retried', async () => {
    const { server } = harness
    server.script(x => x.open())
    let broken = true
    const sharer = share(server.url, { headers: () => {
      if (broken) throw new Error('no token')
      return {}
    } })
    await eventually(() => expect(sharer.state).toMatchObject({ status: 'reconnecting', error: { code: 'REQUEST_FAILED' } }))
    broken = false
    await eventually(() => expect(sharer.state).toMatchObject({ status: 'connected', error: undefined }))
  })

  it('`until` and callbacks are each member\'s own', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const short = share(server.url, { until: one => one.data === 2 })
    const long = share(server.url)
    await eventually(() => expect(long.seen).toEqual([1]))
    server.exchanges[0]!.write(message(2, 'e1.2') + message(3, 'e1.3'))
    await eventually(() => expect(long.seen).toEqual([1, 2, 3]))
    expect(short.seen).toEqual([1, 2])
    expect(short.state).toMatchObject({ status: 'closed', ended: true })
    expect(long.state).toMatchObject({ status: 'connected', ended: false })
  })

  it('the end reaches all; a later client requests the server', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')), x => x.status(204))
    const both = [share(server.url), share(server.url)]
    await eventually(() => expect(both.map(one => one.seen)).toEqual([[1], [1]]))
    server.exchanges[0]!.end(END)
    await eventually(() => expect(both.map(one => one.state)).toMatchObject(Array.from({ length: 2 }).fill({ status: 'closed', ended: true, error: undefined })))
    const late = share(server.url)
    await eventually(() => expect(late.state).toMatchObject({ status: 'closed', ended: true }))
    expect(server.exchanges).toHaveLength(2)
  })

  it('a final error reaches all, and is no verdict on later clients', async () => {
    const { server } = harness
    server.script(x => x.status(403), x => x.open())
    const both = [share(server.url), share(server.url)]
    await eventually(() => expect(both.map(one => one.state)).toMatchObject(Array.from({ length: 2 }).fill({ status: 'closed', error: { statusCode: 403 } })))
    expect(server.exchanges).toHaveLength(1)
    both[0]!.connect()
    await eventually(() => expect(both[0]!.state).toMatchObject({ status: 'connected', error: undefined }))
  })

  it('a gap reaches all that stood there, with where it leads', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')), x => x.open({ position: 'e1.5' }).write(control({ type: 'gap', reason: 'trimmed', missed: 4, position: 'e1.5' }) + message(6, 'e1.6')))
    const both = [share(server.url), share(server.url)]
    await eventually(() => expect(both.map(one => one.seen)).toEqual([[1], [1]]))
    server.exchanges[0]!.cut()
    await eventually(() => expect(both.map(one => one.seen)).toEqual([[1, 6], [1, 6]]))
    for (const one of both) expect(one.state).toMatchObject({ position: 'e1.6', gap: { reason: 'trimmed', missed: 4, position: 'e1.5' } })
    expect(server.exchanges).toHaveLength(2)
  })

  it('connect() cuts a wait short for all', async () => {
    const { server } = harness
    server.script(x => x.status(503, '', { 'retry-after': '60' }), x => x.open())
    const both = [share(server.url), share(server.url)]
    await eventually(() => expect(both.map(one => one.state.status)).toEqual(['reconnecting', 'reconnecting']))
    both[0]!.connect()
    await eventually(() => expect(both.map(one => one.state.status)).toEqual(['connected', 'connected']))
    expect(server.exchanges).toHaveLength(2)
  })

  it('on a route without positions a late joiner gets only new messages; foreign IDs stay as they are', async () => {
    const { server } = harness
    for (const ids of [[undefined, undefined], ['17', 'x']]) {
      server.exchanges.length = 0
      server.script(x => x.open().write(message(1, ids[0])))
      const first = share(server.url)
      await eventually(() => expect(first.seen).toEqual([1]))
      const late = share(server.url)
      await eventually(() => expect(late.state.status).toBe('connected'))
      server.exchanges[0]!.write(message(2, ids[1]))
      await eventually(() => expect([first.seen, late.seen]).toEqual([[1, 2], [2]]))
      expect(late.state.position).toBe(ids[1])
      expect(server.exchanges).toHaveLength(1)
      first.stop()
      late.stop()
    }
  })
})

describe('a late joiner, against the real server', () => {
  const server = useSSEServer({ pollWaitMs: 2_000 })
  let requests: string[]
  let maxMessages: number
  beforeEach(() => {
    requests = []
    maxMessages = 100_000
    const route = (path: string, options = {}) => server.route(path, (event) => {
      requests.push(`${event.path.split('?')[0]}${getQuery(event).transport === 'poll' ? ' poll' : ''}`)
      return server.channel('feed', { retention: { maxMessages } })
    }, options)
    route('/start')
    route('/now', { from: 'now' })
  })

  const publish = async (from: number, to: number) => {
    for (let n = from; n <= to; n++) await server.channel('feed', { retention: { maxMessages } }).publish(n)
  }
  const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

  it('receives the messages since its position, by one poll, then live messages', async () => {
    await publish(1, 20)
    const first = share(`${server.url}/start`)
    await eventually(() => expect(first.seen).toEqual(numbers(1, 20)))
    const [epoch] = first.state.position!.split('.')
    let n = 20
    for (const [asked, owedFrom] of [[undefined, 1], ['start', 1], ['now', 0], [7, 8], [`${epoch}.18`, 19]] as const) {
      requests.length = 0
      const late = share(`${server.url}/start`, { position: asked })
      const owed = numbers(owedFrom || n + 1, n)
      await eventually(() => expect([late.seen, late.state]).toMatchObject([owed, { status: 'connected', transport: 'stream', position: `${epoch}.${n}`, gap: undefined }]))
      expect(requests).toEqual(['/start poll'])
      n++
      await publish(n, n)
      await eventually(() => expect([late.seen, first.seen.at(-1)]).toEqual([[...owed, n], n]))
      late.stop()
    }
    expect(first.seen).toEqual(numbers(1, n))
    // A member at the position of the feed is up to date.
    requests.length = 0
    const last = share(`${server.url}/start`, { position: first.state.position })
    await eventually(() => expect(last.state.status).toBe('connected'))
    expect(requests).toEqual([])
  })

  it('starts at the server\'s `from` without a position of its own', async () => {
    await publish(1, 5)
    const first = share(`${server.url}/now`)
    await eventually(() => expect(first.state.position).toMatch(/\.5$/))
    await publish(6, 8)
    await eventually(() => expect(first.seen).toEqual([6, 7, 8]))
    const late = share(`${server.url}/now`)
    await eventually(() => expect(late.state).toMatchObject({ transport: 'stream', position: first.state.position }))
    await publish(9, 9)
    await eventually(() => expect([first.seen, late.seen]).toEqual([[6, 7, 8, 9], [9]]))
  })

  it('has gaps of its own', async () => {
    maxMessages = 50
    await publish(1, 60)
    const first = share(`${server.url}/start`)
    await eventually(() => expect(first.seen).toEqual(numbers(11, 60)))
    const late = share(`${server.url}/start`, { position: 3 })
    await eventually(() => expect(late.seen).toEqual(numbers(11, 60)))
    expect(late.state.gap).toMatchObject({ reason: 'trimmed', missed: 7 })
    await publish(61, 61)
    await eventually(() => expect([first.seen.at(-1), late.seen.at(-1)]).toEqual([61, 61]))
    expect(first.state.gap).toBeUndefined()
    expect(late.state.gap).toMatchObject({ reason: 'trimmed', missed: 7 })
  })

  it('meets a feed that never rests', async () => {
    await publish(1, 10)
    const first = share(`${server.url}/start`)
    await eventually(() => expect(first.seen).toHaveLength(10))
    let n = 10
    let busy = true
    const publishing = (async () => {
      while (busy) {
        await server.channel('feed', { retention: { maxMessages } }).publish(++n)
        await new Promise(resolve => setImmediate(resolve))
      }
    })()
    const late = Array.from({ length: 10 }, () => share(`${server.url}/start`, { position: 'start' }))
    await eventually(() => expect(late.map(one => one.state.transport)).toEqual(Array.from({ length: 10 }).fill('stream')))
    busy = false
    await publishing
    for (const one of late) {
      await eventually(() => expect(one.seen.at(-1)).toBe(n))
      expect(one.seen).toEqual(numbers(1, n))
      expect(one.state.gap).toBeUndefined()
    }
  })
})
