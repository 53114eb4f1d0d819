import { defineEventHandler } from 'h3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TaggedMessage } from '../../../src/runtime/server/wire/message'
import { getSSEPosition } from '../../../src/runtime/server/api/get-sse-position'
import { collectSSE, readSSE } from '../../../src/runtime/test'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'

const server = useSSEServer({ retryMs: 100 })

async function openOf(path: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  await using reader = await SSEReader.open(server.url + path, init)
  await reader.until(({ controls }) => controls.length > 0)
  return reader.controls[0]!
}

describe('open: whether the source starts over', () => {
  it.each<[string, Parameters<TestServer['route']>[1]]>([
    ['an async generator', async function* () { yield 1 }],
    ['a generator that waits first', async function* () {
      await turns(3)
      yield 1
    }],
    ['an iterable', () => new Set([1])],
    ['a ReadableStream', () => new ReadableStream({ start: controller => controller.close() })],
    ['a handler that waits, and returns a generator', async () => {
      await turns(3)
      return [1].values()
    }],
    ['a generator that also pushes', async function* (_, connection) {
      void connection.push(0)
      yield 1
    }],
  ])('`restarts: true` for %s', async (_, handler) => {
    server.route('/', handler)
    expect(await openOf('/')).toEqual({ type: 'open', heartbeatMs: 15_000, restarts: true })
  })

  it.each<[string, Parameters<TestServer['route']>[1]]>([
    ['nothing returned', () => {}],
    ['a clean-up returned', () => () => {}],
    ['a push before the handler returns', async (_, connection) => {
      await connection.push(1)
      await turns(5)
    }],
    ['more pushed at once than one write holds', (_, connection) => {
      for (let n = 0; n < 50; n++) void connection.push('x'.repeat(10_000))
    }],
  ])('`restarts: false` for the push API: %s', async (_, handler) => {
    server.route('/', handler)
    expect(await openOf('/')).toEqual({ type: 'open', heartbeatMs: 15_000, restarts: false })
  })

  it('omits it for a channel, a resumable run, and a source with positions of its own', async () => {
    server.route('/channel', () => server.channel('c'))
    server.route('/resumable', () => [1].values(), { resumable: true })
    server.route('/generator', async function* (event) {
      yield new TaggedMessage(1, { id: getSSEPosition(event) ?? 'first' })
    })
    server.route('/push', (event, connection) => {
      getSSEPosition(event)
      void connection.push(1)
    })
    for (const path of ['/channel', '/resumable', '/generator', '/push']) {
      expect(Object.keys(await openOf(path)), path).not.toContain('restarts')
      expect(Object.keys(await openOf(path, { headers: { 'last-event-id': 'row-2' } })), path).not.toContain('restarts')
    }
    expect(await openOf('/generator', { headers: { 'last-event-id': 'row-2' } })).toEqual({ type: 'open', heartbeatMs: 15_000, position: 'row-2', resumed: true })
  })
})

describe('open: raw text', () => {
  it('`text: true` for createSSEConnection, also when a push opens it, with the requested position', async () => {
    server.use('/', defineEventHandler(async (event) => {
      const connection = server.raw(event)
      void connection.push(' 42')
      await turns(5)
      return connection.send()
    }))
    expect(await openOf('/')).toEqual({ type: 'open', heartbeatMs: 15_000, restarts: false, text: true })
    server.use('/positions', defineEventHandler(async (event) => {
      getSSEPosition(event)
      const connection = server.raw(event)
      await connection.push(' 42')
      return connection.send()
    }))
    expect(await openOf('/positions?position=row-2')).toEqual({ type: 'open', heartbeatMs: 15_000, position: 'row-2', resumed: true, text: true })
  })

  it('`readSSE` and `collectSSE` leave such data as it was sent', async () => {
    const texts = [' 42', '1.0', '"quoted"', '12345678901234567890', '{"a":1}', 'null', 'plain', '']
    server.use('/', defineEventHandler((event) => {
      const connection = server.raw(event)
      for (const text of texts) void connection.push(text)
      return Promise.all([connection.send(), connection.close()])
    }))
    expect((await collectSSE(server.url)).data).toEqual(texts)
    server.route('/json', async function* () {
      yield* texts
      yield { a: 1 }
    })
    await using reader = await readSSE(`${server.url}/json`)
    await reader.finished
    expect(reader.data).toEqual([...texts, { a: 1 }])
  })
})

describe('responses of ours', () => {
  it('are marked, and name what they depend on, with either transport and without a body', async () => {
    const channel = server.channel('c')
    const id = await channel.publish(1)
    server.route('/', () => server.channel('c'))
    const ask = async (path: string, init?: RequestInit) => {
      const response = await fetch(server.url + path, init)
      await response.body?.cancel()
      return response
    }
    await channel.end()
    const answers = [await ask('/'), await ask('/?transport=poll'), await ask('/', { method: 'HEAD' }), await ask('/', { headers: { 'last-event-id': id } })]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 204])
    for (const { headers } of answers) {
      expect(headers.get('x-nuxt-sse')).toBe('1')
      expect(headers.get('vary')).toBe('accept, last-event-id')
    }
  })

  it('are the same whether a position is requested by header or by query', async () => {
    const ids: string[] = []
    for (let n = 0; n < 5; n++) ids.push(await server.channel('c').publish(n))
    await server.channel('c').end()
    server.route('/channel', () => server.channel('c'))
    server.route('/own', async function* (event) {
      yield getSSEPosition(event) ?? null
    })
    const read = async (url: string, init: RequestInit = {}) => {
      const response = await fetch(url, init)
      return [response.status, (await response.text()).replace(/^retry: \d+\n/, '')]
    }
    const position = fc.oneof(fc.constantFrom('start', 'now', '0', '3', '9', 'other.1', ...ids))
    await fc.assert(fc.asyncProperty(fc.constantFrom('/channel', '/own'), position, fc.constantFrom('stream', 'poll'), async (path, asked, transport) => {
      const query = `transport=${path === '/own' ? 'stream' : transport}&waitMs=0`
      const byHeader = await read(`${server.url}${path}?${query}`, { headers: { 'last-event-id': asked } })
      expect(await read(`${server.url}${path}?${query}&position=${encodeURIComponent(asked)}`)).toEqual(byHeader)
    }), { numRuns: 60 })
    // Any text that a source of its own may use as an ID, as browsers send it: bytes of UTF-8.
    for (const asked of ['row-2', 'é😀', 'a b', '%41', '1,2;q=0']) {
      const header = Array.from(new TextEncoder().encode(asked), byte => String.fromCharCode(byte)).join('')
      expect(await read(`${server.url}/own?position=${encodeURIComponent(asked)}`)).toEqual(await read(`${server.url}/own`, { headers: { 'last-event-id': header } }))
    }
  })
})
