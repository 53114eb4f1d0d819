import { describe, expect, it, vi } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import type { SSEClientOptions } from '../../../src/runtime/client'
import { eventually } from '../../support/conditions'
import { control, message } from '../../support/scripted-server'
import { END, QUICK, all, data, failure, useHarness } from './harness'
import { share, useSharers } from './sharer'

const harness = useHarness()
useSharers()

describe('a request that can never be sent is refused at once, and not retried forever', () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  it.each<[string, string | undefined, SSEClientOptions]>([
    ['a url with a password', 'http://user:pass@127.0.0.1/', {}],
    ['a url of another scheme', 'ftp://127.0.0.1/', {}],
    ['the value of a header', undefined, { headers: { authorization: 'a\nb' } }],
    ['the name of a header', undefined, { headers: () => ({ 'a b': 'c' }) }],
    ['a method', undefined, { method: 'TRACE' }],
    ['a method with a space', undefined, { method: 'A B' }],
    ['a circular body', undefined, { method: 'POST', body: circular }],
    ['a bigint in a body', undefined, { method: 'POST', body: async () => ({ n: 1n }) }],
    ['a Map, of which JSON would keep nothing', undefined, { method: 'POST', body: new Map([[1, 2]]) }],
    ['a Set in a function', undefined, { method: 'POST', body: () => new Set([1]) }],
  ])('%s', async (_, url, options) => {
    harness.server.script(x => x.open().end(END))
    const source = openSSE(url ?? harness.server.url, { ...QUICK, ...options })
    harness.sources.push(source)
    expect(await failure(source)).toMatchObject({ code: 'INVALID_OPTION', retry: false, statusCode: 0 })
    expect(harness.server.exchanges).toEqual([])
  })

  it('a function that throws is called again: a token may come later', async () => {
    let asked = 0
    harness.server.script(x => x.open().end(END))
    await all(harness.open({
      headers() {
        if (++asked < 3) throw new TypeError('no token yet')
        return {}
      },
    }))
    expect(asked).toBe(3)
  })
})

describe('bodies', () => {
  class Prompt {
    constructor(readonly text: string, readonly n = 1) {}
  }
  class Dated {
    at = 1
    toJSON() {
      return { at: 'then' }
    }
  }
  it.each<[string, unknown, string, string | undefined]>([
    ['a plain object', { a: 1 }, '{"a":1}', 'application/json'],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), '{"a":1}', 'application/json'],
    ['an instance of a class', new Prompt('x'), '{"text":"x","n":1}', 'application/json'],
    ['an object with `toJSON`', new Dated(), '{"at":"then"}', 'application/json'],
    ['an array', [1], '[1]', 'application/json'],
    ['a date', new Date(0), '"1970-01-01T00:00:00.000Z"', 'application/json'],
    ['a text', 'a=1', 'a=1', 'text/plain;charset=UTF-8'],
    ['parameters', new URLSearchParams({ a: '1' }), 'a=1', 'application/x-www-form-urlencoded;charset=UTF-8'],
    ['bytes', new TextEncoder().encode('{}'), '{}', undefined],
    ['a blob', new Blob(['{}'], { type: 'text/x' }), '{}', 'text/x'],
  ])('%s', async (_, body, sent, type) => {
    harness.server.script(x => x.open().end(END))
    await all(harness.open({ method: 'POST', body }))
    expect([harness.server.exchanges[0]!.body, harness.server.exchanges[0]!.request.headers['content-type']]).toEqual([sent, type])
  })

  it('a body makes it a POST, unless there is a method', async () => {
    harness.server.script(x => x.open().end(END))
    await all(harness.open({ body: { a: 1 } }))
    await all(harness.open({ method: 'put', body: () => 'x' }))
    expect(harness.server.exchanges.map(x => x.request.method)).toEqual(['POST', 'PUT'])
    expect(() => harness.open({ method: 'GET', body: 'x' })).toThrow('Expected `method`')
  })
})

describe('a custom `fetch`', () => {
  it('makes every request, polls as well', async () => {
    const mine = vi.fn(globalThis.fetch)
    harness.server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(), x => x.open({ position: 'e1.1', resumed: true }).end(END))
    expect(data(await all(harness.open({ fetch: mine })))).toEqual([1])
    harness.server.script(x => x.batch([{ id: 'e1.2', data: 2 }], { ended: true }))
    expect(data(await all(harness.open({ fetch: mine, transports: ['poll'] })))).toEqual([2])
    expect(mine).toHaveBeenCalledTimes(3)
    expect(mine.mock.calls.map(([, init]) => init!.signal!.aborted)).toEqual([true, true, true])
  })

  it('fails as the network does when it throws', async () => {
    const mine = vi.fn(() => Promise.reject(new Error('no bridge')))
    expect(await failure(harness.open({ fetch: mine, reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 2 } }))).toMatchObject({ code: 'GAVE_UP', cause: { code: 'NETWORK', cause: { message: 'no bridge' } } })
    expect(mine).toHaveBeenCalledTimes(2)
  })

  it('decides by itself which URLs it takes', async () => {
    const mine = (url: string | URL | Request, init?: RequestInit) => fetch(String(url).replace('app://local/', harness.server.url), init)
    harness.server.script(x => x.open().write(message(1)).end(END))
    const source = openSSE('app://local/feed', { ...QUICK, fetch: mine })
    harness.sources.push(source)
    expect(data(await all(source))).toEqual([1])
  })

  it('is not compared: calls that have one do not share', async () => {
    harness.server.script(x => x.open())
    const both = [share(harness.server.url, { fetch: globalThis.fetch }), share(harness.server.url, { fetch: globalThis.fetch })]
    await eventually(() => expect(both.map(one => one.state.status)).toEqual(['connected', 'connected']))
    expect(harness.server.exchanges).toHaveLength(2)
  })

  it('is a function', () => {
    expect(() => harness.open({ fetch: 'mine' as never })).toThrow('Expected `fetch` to be a function, got `"mine"`.')
  })
})

describe('ways to end a loop', () => {
  const endless = () => harness.server.script(x => x.open().write(message(1)))

  it('a signal ends it without throwing, and the connection', async () => {
    endless()
    const left = new AbortController()
    const source = harness.open({ signal: left.signal })
    const seen: unknown[] = []
    for await (const one of source) {
      seen.push(one.data)
      setTimeout(() => left.abort(), 1)
    }
    expect([seen, source.status, source.error]).toEqual([[1], 'closed', undefined])
    await eventually(() => expect(harness.server.exchanges[0]!.closed).toBe(true))
  })

  it('a signal that is aborted already connects to nothing', async () => {
    endless()
    expect(await all(harness.open({ signal: AbortSignal.abort(new Error('no')) }))).toEqual([])
    // A request that had started would be here before this one.
    await fetch(harness.server.url).then(response => response.body!.cancel())
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('a signal that outlives its sources retains none of them', async () => {
    harness.server.script(x => x.open().write(message(1)).end(END))
    const { signal } = new AbortController()
    let listeners = 0
    vi.spyOn(signal, 'addEventListener').mockImplementation((...[type, listener, options]: Parameters<AbortSignal['addEventListener']>) => {
      listeners++
      ;(options as AddEventListenerOptions).signal!.addEventListener('abort', () => listeners--)
      EventTarget.prototype.addEventListener.call(signal, type, listener, options)
    })
    await all(harness.open({ signal }))
    harness.open({ signal }).close()
    expect(listeners).toBe(0)
  })

  it.each([
    ['return()', (loop: AsyncIterator<unknown>) => loop.return!()],
    ['throw()', (loop: AsyncIterator<unknown>) => loop.throw!(new Error('mine')).catch((error: Error) => expect(error.message).toBe('mine'))],
  ])('%s ends it at once, while a message is waited for', async (_, end) => {
    endless()
    const source = harness.open()
    const loop = source[Symbol.asyncIterator]()
    await loop.next()
    const waiting = loop.next()
    await end(loop)
    expect(await waiting).toEqual({ done: true, value: undefined })
    await eventually(() => expect(harness.server.exchanges[0]!.closed).toBe(true))
  })

  it('`await using` closes it', async () => {
    endless()
    const source = harness.open()
    await source[Symbol.asyncDispose]()
    await eventually(() => expect(harness.server.exchanges.every(x => x.closed)).toBe(true))
    const other = harness.open()
    await other[Symbol.asyncDispose]()
    expect(other.status).toBe('closed')
    expect(await all(other)).toEqual([])
  })
})

it('a `fetch` may answer by itself, with a stream that no server sent', async () => {
  const mine = () => Promise.resolve(new Response(control({ type: 'open', heartbeatMs: 0 }) + message(1) + END, { headers: { 'content-type': 'text/event-stream' } }))
  expect(data(await all(harness.open({ fetch: mine })))).toEqual([1])
})
