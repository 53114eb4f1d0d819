import { setResponseHeader } from 'h3'
import { createParser } from 'eventsource-parser'
import { describe, expect, it } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import { resolveModuleHandlerOptions } from '../../../src/runtime/server/resolve-options'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ headers: { 'X-Served-By': 'a', 'Vary': 'cookie' } })

const headersOf = async (path: string, init?: RequestInit) => {
  const response = await fetch(server.url + path, init)
  await response.body?.cancel()
  return response.headers
}

describe('headers', () => {
  it('are added to streams and polls, those of a handler to those of the module; vary is merged', async () => {
    const own = { 'x-own': '1', 'cache-control': 'private, no-store', 'Vary': 'Accept, x-tenant', 'Content-Encoding': 'identity' }
    server.route('/generator', (event) => {
      setResponseHeader(event, 'vary', 'origin')
      return [1][Symbol.iterator]()
    }, { headers: own })
    server.route('/channel', () => server.channel('c'), { headers: own })
    for (const [path, method] of [['/generator', 'GET'], ['/channel', 'GET'], ['/channel?transport=poll&waitMs=0', 'GET'], ['/generator', 'HEAD']] as const) {
      const headers = await headersOf(path, { method })
      expect([path, headers.get('x-served-by'), headers.get('x-own'), headers.get('cache-control'), headers.get('content-encoding')]).toEqual([path, 'a', '1', 'private, no-store', 'identity'])
      expect(headers.get('vary')).toBe(path === '/generator' ? 'origin, accept, last-event-id, cookie, x-tenant' : 'accept, last-event-id, cookie, x-tenant')
      expect(headers.get('content-type')).toBe(path.includes('poll') ? 'application/json' : 'text/event-stream')
    }
    server.route('/plain', () => server.channel('c'))
    expect((await headersOf('/plain')).get('cache-control')).toBe('no-cache, no-transform')
  })

  it('are set only where the status is 200', async () => {
    await server.channel('over').end()
    server.route('/ended', () => server.channel('over'))
    server.route('/thrown', () => server.channel(''))
    for (const [path, status, init] of [['/ended', 204], ['/thrown', 400], ['/ended', 406, { headers: { accept: 'image/png' } }], ['/ended', 204, { method: 'OPTIONS' }]] as const) {
      const response = await fetch(server.url + path, init)
      expect([path, response.status, response.headers.get('x-served-by')]).toEqual([path, status, null])
    }
  })

  it.each<[Record<string, unknown>]>([
    [{ 'content-type': 'text/plain' }], [{ 'Content-Type': 'text/event-stream' }], [{ 'set-cookie': 'a=b' }], [{ 'SET-COOKIE': 'a=b' }], [{ connection: 'close' }], [{ 'Transfer-Encoding': 'chunked' }],
    [{ 'keep-alive': '1' }], [{ te: 'x' }], [{ trailer: 'x' }], [{ upgrade: 'x' }], [{ 'content-length': '1' }], [{ 'cache-control': 'public, max-age=60' }], [{ 'cache-control': 'x-no-cache' }],
    [{ '': 'x' }], [{ 'a b': 'x' }], [{ 'x\n': 'x' }], [{ x: 'a\r\nset-cookie: b' }], [{ x: 'a\0' }], [{ x: 'é€' }], [{ x: 1 }], [{ x: undefined }],
  ])('refuses %j', (headers) => {
    expect(() => resolveModuleHandlerOptions({ headers: headers as Record<string, string> })).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('`headers') }))
  })

  it.each(['no-store', 'no-cache', 'private, No-Cache, no-transform', 'no-cache="x-a"'])('cache-control may be %s', (value) => {
    expect(resolveModuleHandlerOptions({ headers: { 'Cache-Control': value } }).headers).toEqual({ 'cache-control': value })
  })
})

describe('heartbeats', () => {
  const FAST = { heartbeatMs: 20 }

  it.each<[string, object, string]>([
    ['by default', FAST, ':\n\n'], ['with a text', { ...FAST, heartbeatText: 'still here' }, ': still here\n\n'],
    ['as a control message', { ...FAST, heartbeatAs: 'control', heartbeatText: 'unused' }, 'event: sse\ndata: {"type":"heartbeat"}\n\n'],
  ])('%s', async (_, options, expected) => {
    server.route('/', () => server.channel('c'), options)
    const response = await fetch(server.url)
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    await eventually(async () => {
      text += (await reader.read()).value
      expect(text.slice(text.indexOf('\n\n') + 2).startsWith(expected.repeat(2))).toBe(true)
    })
    await reader.cancel()
  })

  it('as control messages leave the position where it is', async () => {
    const id = await server.channel('c').publish(1)
    server.route('/', () => server.channel('c'), { ...FAST, heartbeatAs: 'control' })
    await using reader = await SSEReader.open(server.url)
    await reader.until(r => r.controls.filter(({ type }) => type === 'heartbeat').length > 2)
    expect(reader.data).toEqual([1])
    const ids: unknown[] = []
    createParser({ onEvent: event => void (event.data.includes('heartbeat') && ids.push(event.id)) }).feed('event: sse\ndata: {"type":"heartbeat"}\n\n')
    expect(ids).toEqual([undefined])
    expect(id).toMatch(/\.1$/)
  })

  it('our client takes control messages for signs of life, and passes none on', async () => {
    server.route('/', async function* () {
      yield 1
      await new Promise(resolve => setTimeout(resolve, 1_000))
      yield 2
    }, { heartbeatMs: 300, heartbeatAs: 'control' })
    const messages: unknown[] = []
    for await (const { data, event } of openSSE(server.url)) messages.push([event, data])
    expect(messages).toEqual([[undefined, 1], [undefined, 2]])
  })

  it.each<[object]>([[{ heartbeatText: 'a\nb' }], [{ heartbeatText: 'a\rb' }], [{ heartbeatText: '\0' }], [{ heartbeatText: 'x'.repeat(1_001) }], [{ heartbeatText: 5 }], [{ heartbeatAs: 'event' }], [{ headers: [] }], [{ headers: 'x' }]])('refuses %j', (options) => {
    expect(() => resolveModuleHandlerOptions(options)).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })
})
