import { Buffer } from 'node:buffer'
import { defineEventHandler, getQuery, readBody } from 'h3'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({}, { report: 'to the console' })
const said: unknown[] = []

beforeEach(async () => {
  said.length = 0
  for (const level of ['error', 'warn', 'log'] as const) vi.spyOn(console, level).mockImplementation((...args) => void said.push(args))
  server.route('/rooms/:room', event => server.channel(event.context.params!.room!))
  server.route('/rooms', event => server.channel(getQuery(event).room as string))
  server.route('/by-header', event => server.channel(event.headers.get('x-room')!))
  server.use('/publish', defineEventHandler(async (event) => {
    const { room = 'r', name, key, limit } = await readBody(event)
    const channel = server.channel(room)
    if (limit !== undefined) return channel.read({ limit })
    return channel.publish(1, { event: name, key })
  }))
})
afterEach(() => vi.restoreAllMocks())

describe('invalid input from a client gets 400 and a code, and nothing is logged', () => {
  const LONG = 'x'.repeat(600)
  const text = Buffer.from('ä'.repeat(300)).toString('latin1')
  it.each<[string, string, RequestInit | undefined]>([
    ['a route parameter of 600 bytes', `/rooms/${LONG}`, undefined],
    ['of 300 characters, which are 600 bytes', `/rooms/${encodeURIComponent('ä'.repeat(300))}`, undefined],
    ['a query of 600 bytes', `/rooms?room=${LONG}`, undefined],
    ['an empty query', '/rooms?room=', undefined],
    ['no query', '/rooms', undefined],
    ['a query twice', '/rooms?room=a&room=b', undefined],
    ['a header', '/by-header', { headers: { 'x-room': text + LONG } }],
    ['no header', '/by-header', undefined],
  ])('the name of a channel: %s', async (_, path, init) => {
    for (const [query, method] of [['', 'GET'], ['transport=poll', 'GET'], ['', 'POST'], ['', 'HEAD']] as const) {
      const response = await fetch(`${server.url}${path}${query && (path.includes('?') ? '&' : '?') + query}`, { ...init, method })
      expect([method, response.status]).toEqual([method, 400])
      if (method !== 'HEAD') expect(await response.json()).toMatchObject({ data: { code: 'INVALID_CHANNEL' } })
    }
    expect(said).toEqual([])
  })

  it.each<[string, object]>([
    ['INVALID_CHANNEL', { room: LONG }], ['INVALID_CHANNEL', { room: null }], ['INVALID_CHANNEL', { room: '\uD800' }],
    ['INVALID_EVENT', { name: 'a\nb' }], ['INVALID_EVENT', { name: '' }], ['INVALID_EVENT', { name: LONG }], ['INVALID_EVENT', { name: 7 }], ['INVALID_EVENT', { name: '\uDC00' }], ['RESERVED_EVENT', { name: 'sse' }],
    ['INVALID_OPTION', { key: LONG }], ['INVALID_OPTION', { key: '' }], ['INVALID_OPTION', { key: {} }], ['INVALID_OPTION', { key: '\uD800' }],
    ['INVALID_OPTION', { limit: 'ten' }], ['INVALID_OPTION', { limit: -1 }],
  ])('in an ordinary handler: %s of %j', async (code, body) => {
    const response = await fetch(`${server.url}/publish`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    expect([response.status, await response.json()]).toMatchObject([400, { message: expect.not.stringContaining('Server Error'), data: { code } }])
    expect(said).toEqual([])
  })
})

describe('a failure that only the server can cause', () => {
  it('is a 500 in an ordinary handler; its text stays on the server, in the log', async () => {
    server.use('/mistake', defineEventHandler(() => server.channel('c').publish(undefined)))
    const response = await fetch(`${server.url}/mistake`)
    expect([response.status, await response.json()]).toMatchObject([500, { message: 'Server Error' }])
  })

  it('an event name that a source may not send is logged, and reported to the reader', async () => {
    server.route('/', async function* () {
      yield 1
      await server.channel('c').publish(1, { event: 'a\nb' })
    })
    await using reader = await SSEReader.open(server.url)
    await reader.finished
    expect(reader.controls.at(-1)).toMatchObject({ type: 'error', code: 'INVALID_EVENT', statusCode: 400, retry: false })
    expect(said).toHaveLength(1)
  })
})
