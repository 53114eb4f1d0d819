import { http } from 'msw'
import { setupServer } from 'msw/node'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import type { OpenSSEOptions, SSESource } from '../../../src/runtime/client'
import { collectSSE, mockSSE } from '../../../src/runtime/test'
import { eventually } from '../../support/conditions'
import { turns } from '../../support/random'
import { startScriptedServer } from '../../support/scripted-server'

const URL_OF_FEED = 'http://test.invalid/api/feed'
const QUICK = { reconnect: { minDelayMs: 1, maxDelayMs: 2 } }
const real = globalThis.fetch
const numbers = (to: number) => Array.from({ length: to }, (_, index) => index + 1)

const mocks = new Set<{ restore(): void }>()
afterEach(() => {
  for (const mock of mocks) mock.restore()
  mocks.clear()
  expect(globalThis.fetch).toBe(real)
})

const mock: typeof mockSSE = (...args) => {
  const made = mockSSE(...args)
  mocks.add(made)
  return made as ReturnType<typeof mockSSE<never>>
}

/** A client of the mock, and everything that it received. */
function read(options: OpenSSEOptions = {}, url = URL_OF_FEED) {
  const source = openSSE(url, { ...QUICK, ...options }) as SSESource
  onTestFinished(() => source.close())
  const seen: unknown[] = []
  const done = (async () => {
    for await (const { data } of source) seen.push(data)
  })().catch((error: Error) => error)
  return { source, seen, done }
}

describe.each(['stream', 'poll'] as const)('mockSSE over a %s', (transport) => {
  const transports = [transport]

  it('sends messages before and after the client connects, in order, with names', async () => {
    const feed = mock('/api/feed')
    feed.message(1)
    const { source, seen } = read({ transports })
    await eventually(() => expect(seen).toEqual([1]))
    expect(source.status).toBe('connected')
    feed.message({ n: 2 }, { event: 'named' })
    feed.message(3)
    await eventually(() => expect(seen).toEqual([1, { n: 2 }, 3]))
    expect(feed.requests[0]).toMatchObject({ method: 'GET', transport, position: undefined })
    source.close()
    await eventually(() => expect(feed.connections).toBe(0))
  })

  it('a dropped client reconnects, and receives what was sent meanwhile, once', async () => {
    const feed = mock('/api/feed')
    const { seen } = read({ transports })
    await eventually(() => expect(feed.connections).toBe(1))
    for (let n = 1; n <= 5; n++) {
      feed.message(n)
      if (n % 2) feed.drop()
    }
    await eventually(() => expect(seen).toEqual([1, 2, 3, 4, 5]))
    expect(feed.requests.length).toBeGreaterThan(1)
  })

  it('ends, for good', async () => {
    const feed = mock('/api/feed')
    feed.message('last')
    feed.end()
    for (let i = 0; i < 2; i++) {
      const { seen, done } = read({ transports })
      expect([await done, seen]).toEqual([undefined, ['last']])
    }
    expect(() => feed.message('more')).toThrow(expect.objectContaining({ code: 'CHANNEL_ENDED' }))
  })

  it('fails with an error of its own', async () => {
    const feed = mock('/api/feed')
    const { done } = read({ transports })
    await eventually(() => expect(feed.connections).toBe(1))
    feed.error('QUOTA', 'That was the last one.', { statusCode: 429 })
    expect(await done).toMatchObject({ code: 'QUOTA', message: 'That was the last one.', statusCode: 429, retry: false })
  })

  it('reports a gap, before the messages after it', async () => {
    const feed = mock('/api/feed')
    feed.message(1)
    feed.gap({ missed: 4 })
    feed.message(6)
    const { source, seen } = read({ transports })
    await eventually(() => expect(seen).toEqual([1, 6]))
    expect(source.gap).toMatchObject({ reason: 'trimmed', missed: 4 })
  })

  it('refuses, until it is open', async () => {
    const feed = mock('/api/feed')
    feed.refuse(401, 'Sign in first.', 'UNAUTHORIZED')
    expect(await read({ transports }).done).toMatchObject({ code: 'UNAUTHORIZED', statusCode: 401, message: 'Sign in first.' })
    feed.refuse(503)
    const { source, seen } = read({ transports })
    await eventually(() => expect(source.error?.statusCode).toBe(503))
    feed.message('back')
    feed.open()
    await eventually(() => expect(seen).toEqual(['back']))
  })

  it('a position of another mock, as after a restart of the server, is a gap', async () => {
    const first = mock('/api/feed')
    first.message('first')
    const { source, seen } = read({ transports })
    await eventually(() => expect(seen).toEqual(['first']))
    const second = mock('/api/feed')
    second.message('second')
    first.drop()
    await eventually(() => expect(seen).toEqual(['first', 'second']))
    expect(source.gap).toMatchObject({ reason: 'epoch' })
    second.restore()
    first.restore()
  })

  it('is slow: an answer waits for its time, or for `open`', async () => {
    const feed = mock('/api/feed')
    feed.message(1)
    feed.slow(Infinity)
    const { source, seen } = read({ transports })
    await eventually(() => expect(feed.connections).toBe(1))
    await new Promise(resolve => setTimeout(resolve))
    expect([source.status, seen]).toEqual(['connecting', []])
    feed.open()
    await eventually(() => expect(seen).toEqual([1]))
    feed.slow(20)
    const began = performance.now()
    const late = read({ transports })
    await eventually(() => expect(late.seen).toEqual([1]))
    expect(performance.now() - began).toBeGreaterThan(18)
  })
})

describe('mockSSE', () => {
  it.each<[string, (feed: ReturnType<typeof mock>) => void, string]>([
    ['an answer is late', feed => feed.slow(60_000), ''],
    ['an answer waits for `open`, and then for a message', (feed) => {
      feed.slow(60_000)
      void feed.fetch(`${URL_OF_FEED}?transport=poll`).catch(() => {})
      feed.open()
    }, '?transport=poll&waitMs=60000'],
    ['a poll waits for a message', () => {}, '?transport=poll&waitMs=60000'],
  ])('leaves no timer when it is restored, or when the client leaves, while %s', async (_, prepare, query) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const feed = mock('/api/feed')
    prepare(feed)
    const left = new AbortController()
    const answers = [{}, { signal: left.signal }].map(init => feed.fetch(URL_OF_FEED + query, init).catch((error: Error) => error.name))
    await turns(2)
    const pending = vi.getTimerCount()
    expect(pending).toBeGreaterThanOrEqual(2)
    left.abort()
    expect(vi.getTimerCount()).toBe(pending - 1)
    feed.restore()
    expect(vi.getTimerCount()).toBe(0)
    expect(await Promise.all(answers)).toEqual(['TypeError', 'AbortError'])
    expect(feed.connections).toBe(0)
  })

  it('an error with `retry` is shown, and the source continues', async () => {
    const feed = mock('/api/feed')
    const { source, seen } = read()
    await eventually(() => expect(source.status).toBe('connected'))
    feed.error('PRODUCER_LOST', 'Lost.', { statusCode: 503, retry: true })
    feed.message(1)
    await eventually(() => expect(seen).toEqual([1]))
    expect(source.status).toBe('connected')
  })

  it('without positions each connection begins from the first message, and a POST that is dropped is INTERRUPTED', async () => {
    const feed = mock('/api/feed', { resumable: false })
    feed.message(1)
    const { source, seen } = read()
    await eventually(() => expect(seen).toEqual([1]))
    feed.drop()
    await eventually(() => expect(seen).toEqual([1, 1]))
    expect(source.gap).toMatchObject({ reason: 'restarted' })
    const posted = read({ body: { prompt: 'Why?' } })
    await eventually(() => expect(posted.seen).toEqual([1]))
    expect(feed.requests.at(-1)).toMatchObject({ method: 'POST', body: '{"prompt":"Why?"}' })
    feed.drop()
    expect(await posted.done).toMatchObject({ code: 'INTERRUPTED' })
  })

  it('intercepts its own URL only, and nothing after `restore`, in whatever order mocks and other stubs end', async () => {
    const server = await startScriptedServer()
    onTestFinished(() => server.close())
    server.script(x => x.open().end('data: "server"\n\nevent: sse\ndata: {"type":"end"}\n\n'))
    const [path, absolute, pattern] = [mock('/api/path'), mock(`${server.url}api/absolute`), mock(/pattern\/\d+$/g)]
    const spy = vi.spyOn(globalThis, 'fetch')
    const last = mock('/api/last')
    for (const [index, feed] of [path, absolute, pattern, last].entries()) {
      feed.message(index)
      feed.end()
    }
    const answerOf = async (url: string) => (await collectSSE(server.url + url)).data[0]
    const urls = ['api/path?x=1', 'api/absolute', 'pattern/1', 'pattern/2', 'api/last', 'api/other', 'api/path/more']
    expect(await Promise.all(urls.map(answerOf))).toEqual([0, 1, 2, 2, 3, 'server', 'server'])
    path.restore()
    absolute.restore()
    expect(await Promise.all(urls.map(answerOf))).toEqual(['server', 'server', 2, 2, 3, 'server', 'server'])
    last.restore()
    spy.mockRestore()
    pattern.restore()
    expect(await answerOf('pattern/1')).toBe('server')
    globalThis.fetch = real
  })

  it('without a URL it intercepts nothing: `fetch` answers what it is given', async () => {
    const feed = mock<number>()
    expect(globalThis.fetch).toBe(real)
    feed.message(1)
    const { seen } = read({ fetch: feed.fetch }, 'http://anything.invalid/at/all')
    await eventually(() => expect(seen).toEqual([1]))
    const response = await feed.fetch(new Request('http://test.invalid/', { method: 'POST', body: 'x', headers: { 'last-event-id': 'start' } }))
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(feed.requests.at(-1)).toMatchObject({ method: 'POST', position: 'start' })
    await response.body!.cancel()
    await eventually(() => expect(feed.connections).toBe(1))
  })

  it('answers for a handler of MSW: messages, drops and positions as without it', async () => {
    const feed = mock()
    const server = setupServer(http.get('*/api/feed', ({ request }) => feed.fetch(request)))
    server.listen()
    try {
      const { source, seen } = read()
      for (let n = 1; n <= 3; n++) {
        feed.message(n)
        await eventually(() => expect(seen).toEqual(numbers(n)))
        feed.drop()
      }
      expect(feed.requests.map(({ position }) => position)).toContain(source.position!.replace(/3$/, '2'))
      source.close()
      await eventually(() => expect(feed.connections).toBe(0))
    }
    finally {
      server.close()
    }
  })

  it('refuses what a server would refuse, and options that do not exist', () => {
    const feed = mock()
    expect(() => feed.message(1n)).toThrow(expect.objectContaining({ code: 'INVALID_DATA' }))
    expect(() => feed.message(1, { event: 'sse' })).toThrow(expect.objectContaining({ code: 'RESERVED_EVENT' }))
    expect(() => mock('api/feed')).toThrow('Expected `url` to be a path such as `/api/feed`')
    expect(() => mock('/x', { resumeable: true } as object)).toThrow('resumeable')
    expect(() => feed.slow(-1)).toThrow('delayMs')
    expect(() => feed.refuse(200)).toThrow('statusCode')
  })
})
