import { readBody } from 'h3'
import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import type { TestServer } from '../../support/sse-server'
import { NOTHING, useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ pollWaitMs: 30_000 })

const get = (path: string, accept?: string, init: RequestInit = {}) => fetch(server.url + path, { ...init, headers: { ...init.headers, ...accept === undefined ? {} : { accept } } })
const kind = async (response: Response) => {
  await response.body?.cancel()
  return [response.status, response.headers.get('content-type')?.split(';')[0]]
}

describe('a source that can only be streamed', () => {
  const STREAMED = [undefined, '', '*/*', 'text/*', 'text/event-stream', 'application/json', 'application/json, text/plain, */*', 'application/json;q=0.5, */*;q=0.1', 'application/json, text/event-stream', 'application/json;q=0, */*']
  const sources: [string, (runs: () => void) => Parameters<TestServer['route']>[1]][] = [
    ['a generator function', runs => async function* () {
      runs()
      yield 1
    }],
    ['an iterable', runs => () => (runs(), [1][Symbol.iterator]())],
    ['a ReadableStream', runs => () => {
      runs()
      return new ReadableStream({ pull: controller => controller.close() })
    }],
    ['a push', runs => async (_, connection) => {
      runs()
      await connection.push(1)
      return () => {}
    }],
    ['nothing yet', runs => () => void runs()],
  ]
  it.each(sources)('%s: streamed under any header that allows it, and under JSON', async (_, make) => {
    let runs = 0
    server.route('/', make(() => void runs++))
    for (const accept of STREAMED) expect([accept, ...await kind(await get('/', accept))]).toEqual([accept, 200, 'text/event-stream'])
    expect(runs).toBe(STREAMED.length)
    await eventually(() => expect(server.left()).toEqual(NOTHING))
  })

  it.each(sources)('%s: 406 under ?transport=poll, and where streams are refused by name', async (name, make) => {
    let runs = 0
    server.route('/', make(() => void runs++))
    for (const [path, accept] of [['/?transport=poll', 'text/event-stream'], ['/', 'text/event-stream;q=0, */*'], ['/', 'application/json, text/event-stream;q=0']] as const) {
      const response = await get(path, accept)
      expect([response.status, await response.json()]).toMatchObject([406, { data: { code: 'NOT_POLLABLE' } }])
    }
    for (const accept of ['image/png', '*/*;q=0']) expect((await get('/', accept)).status).toBe(406)
    // Decided before a generator function runs.
    expect(runs).toBe(name === 'a generator function' ? 0 : 3)
    await eventually(() => expect(server.left()).toEqual(NOTHING))
  })

  it('a POST as ofetch sends it: a JSON body, and a header of JSON', async () => {
    server.route('/chat', async function* (event: Parameters<typeof readBody>[0]) {
      const { prompt } = await readBody(event)
      yield prompt
    } as never)
    await using reader = await SSEReader.open(`${server.url}/chat`, { method: 'POST', body: JSON.stringify({ prompt: 'Hi' }), headers: { 'accept': 'application/json', 'content-type': 'application/json' } })
    await reader.finished
    expect(reader.data).toEqual(['Hi'])
  })
})

describe('a channel under a header of JSON', () => {
  it('is a poll, whose connection is closed for pushes, and over when the client has read the answer', async () => {
    await server.channel<number>('c').publish(1)
    const seen: unknown[] = []
    server.route('/', async (_, connection) => {
      seen.push(connection.closed, connection.signal.aborted)
      connection.onClosed(() => seen.push(connection.closeReason, connection.signal.aborted))
      return server.channel('c')
    })
    const response = await get('/?waitMs=0', 'application/json')
    expect(await response.json()).toMatchObject({ type: 'batch', messages: [{ data: 1 }] })
    await eventually(() => expect(seen).toEqual([false, false, 'refused', true]))
    expect(server.left()).toEqual(NOTHING)
  })

  it('is streamed where the handler has pushed before', async () => {
    await server.channel<number>('c').publish(1)
    server.route('/', (_, connection) => {
      void connection.push('first')
      return server.channel('c')
    })
    await using reader = await SSEReader.open(server.url, { headers: { accept: 'application/json' } })
    await reader.until(r => r.data.length === 2)
    expect(reader.data).toEqual(['first', 1])
  })

  it('prefers what the header prefers', async () => {
    server.route('/', () => server.channel('c'))
    for (const [accept, type] of [['application/json', 'application/json'], ['application/json, text/event-stream', 'text/event-stream'], ['application/json;q=0.5, */*;q=0.1', 'application/json'], ['*/*', 'text/event-stream'], ['text/event-stream;q=0, */*', 'application/json']]) {
      expect([accept, ...await kind(await get('/?waitMs=0', accept))]).toEqual([accept, 200, type])
    }
  })

  it('a poll that waits gives its place back when its client leaves, and reads no second time', async () => {
    let reads = 0
    const { driver } = server.context
    const read = driver.read.bind(driver)
    driver.read = (...args) => {
      reads++
      return read(...args)
    }
    server.route('/', () => server.channel('c'), { maxConnections: 1 })
    const leaving = new AbortController()
    const left = get('/', 'application/json', { signal: leaving.signal }).catch(() => {})
    await eventually(() => expect(server.left().channels).toBe(1))
    const before = reads
    leaving.abort()
    await left
    await eventually(() => expect(server.context.admissions.all.open).toBe(0))
    await eventually(() => expect(server.left()).toEqual(NOTHING))
    expect(reads).toBe(before)
  })
})

describe('HEAD', () => {
  it('runs the handler with a closed connection and an aborted signal, and takes a place while it runs', async () => {
    const busy = Promise.withResolvers<void>()
    const seen: unknown[] = []
    server.route('/', async (_, connection) => {
      seen.push(connection.closed, connection.signal.aborted, await connection.push(1))
      await busy.promise
      return server.channel('c')
    }, { maxConnections: 1 })
    const head = get('/', undefined, { method: 'HEAD' })
    await eventually(() => expect(seen).toEqual([true, true, false]))
    expect((await get('/')).status).toBe(503)
    busy.resolve()
    expect(await kind(await head)).toEqual([200, 'text/event-stream'])
    expect(server.context.admissions.all.open).toBe(0)
  })

  it('has the headers of a GET, whatever the source', async () => {
    server.route('/generator', async function* () {
      yield 1
    })
    server.route('/channel', () => server.channel('c'))
    server.route('/resumable', () => [1][Symbol.iterator](), { resumable: true })
    for (const [path, accept, status, type] of [
      ['/generator', 'application/json', 200, 'text/event-stream'], ['/channel', 'application/json', 200, 'application/json'], ['/resumable', 'application/json', 200, 'application/json'],
      ['/generator?transport=poll', '*/*', 406, 'application/json'], ['/channel', '*/*', 200, 'text/event-stream'],
    ] as const) expect([path, ...await kind(await get(path, accept, { method: 'HEAD' }))]).toEqual([path, status, type])
  })
})
