import { describe, expect, it } from 'vitest'
import type { RawRequest } from '../../../src/runtime/server/http/request'
import { channelPosition, readSSERequest } from '../../../src/runtime/server/http/request'

const read = (raw: Partial<RawRequest>) => readSSERequest({ query: {}, ...raw })
const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1')

describe('the transport', () => {
  it.each<[string | undefined, string]>([
    [undefined, 'stream'], ['', 'stream'], ['  ', 'stream'], ['*/*', 'stream'], ['text/event-stream', 'stream'], ['TEXT/Event-Stream; charset=utf-8', 'stream'], ['text/*', 'stream'],
    ['application/json', 'poll'], ['Application/JSON;q=0.9', 'poll'], ['application/*', 'poll'], ['application/json, text/event-stream', 'stream'],
    ['application/json, */*', 'poll'], ['text/event-stream;q=0, application/json', 'poll'], ['text/event-stream;q=0.000,*/*', 'poll'], ['application/json, text/plain, */*', 'poll'], ['application/json;q=0.5, */*;q=0.1', 'poll'], ['text/event-stream;q=0.5, application/json', 'poll'], ['nonsense', 'stream'], ['text/html, */*;q=0.1', 'stream'], ['application/json;q=0.0, text/*', 'stream'],
  ])('Accept: %j is %s', (accept, transport) => {
    expect(read({ accept }).transport).toBe(transport)
  })
  it.each(['image/png', 'text/html', 'application/xml', '*/*;q=0', 'application/json;q=0'])('Accept: %j is refused', (accept) => {
    expect(() => read({ accept })).toThrowError(expect.objectContaining({ code: 'NOT_ACCEPTABLE', statusCode: 406 }))
  })
  it('?transport= overrides Accept, and is checked', () => {
    expect(read({ accept: 'text/event-stream', query: { transport: 'poll' } }).transport).toBe('poll')
    expect(read({ accept: 'application/json', query: { transport: 'stream' } }).transport).toBe('stream')
    expect(read({ accept: 'image/png', query: { transport: 'stream' } }).transport).toBe('stream')
    for (const transport of ['', 'sse', ['poll', 'poll']]) expect(() => read({ query: { transport } })).toThrowError(expect.objectContaining({ code: 'INVALID_QUERY', statusCode: 400 }))
  })
  it.each<[string | undefined, boolean]>([
    [undefined, true], ['*/*', true], ['application/json', true], ['application/json;q=0.5, */*;q=0.1', true], ['text/event-stream;q=0.1', true],
    ['text/event-stream;q=0, */*', false], ['application/json, Text/Event-Stream; Q=0.00', false], ['text/event-stream; charset=utf-8; q=0, application/json', false],
  ])('Accept: %j allows a source that can only be streamed: %j', (accept, mayStream) => {
    expect(read({ accept }).mayStream).toBe(mayStream)
  })
  it('?transport=poll allows no streams, and ?transport=stream does', () => {
    expect(read({ query: { transport: 'poll' } }).mayStream).toBe(false)
    expect(read({ accept: 'text/event-stream;q=0', query: { transport: 'stream' } }).mayStream).toBe(true)
  })
})

describe('the position', () => {
  it('comes from the header before the query, and an empty one does not count', () => {
    expect(read({}).position).toBeUndefined()
    expect(read({ lastEventId: '', query: { position: '' } }).position).toBeUndefined()
    expect(read({ lastEventId: '', query: { position: '3' } }).position).toMatchObject({ text: '3', source: 'query' })
    expect(read({ lastEventId: '4', query: { position: '3' } }).position).toMatchObject({ text: '4', source: 'header' })
  })
  // @guarantee empty-ids
  it('"0" is a position', () => {
    expect(channelPosition(read({ lastEventId: '0' }).position)).toEqual({ kind: 'count', offset: 0 })
    expect(channelPosition(read({ query: { position: '0' } }).position)).toEqual({ kind: 'count', offset: 0 })
  })
  it('takes a header as UTF-8 that was decoded as Latin-1, or as text', () => {
    expect(read({ lastEventId: latin1('é😀') }).position!.text).toBe('é😀')
    expect(read({ lastEventId: 'é😀' }).position!.text).toBe('é😀')
    expect(read({ lastEventId: 'row-1' }).position!.text).toBe('row-1')
    expect(read({ lastEventId: 'é' }).position!.text).toBe('\uFFFD')
  })
  it.each(['lastEventId', 'lastEventID', 'Last-Event-ID', 'last-event-id', 'last_event_id', 'evs_last_event_id'])('takes ?%s= of a polyfill like the header', (name) => {
    const text = 'k3v9x1qa.41'
    expect(read({ query: { [name]: text, position: '3' } }).position).toMatchObject({ text, source: 'header' })
    expect(read({ query: { [name]: ['k3v9x1qa.1', text] } }).position).toMatchObject({ text, source: 'header' })
    expect(read({ query: { [name]: text }, lastEventId: '7' }).position).toMatchObject({ text: '7', source: 'header' })
    expect(read({ query: { [name]: '', position: '3' } }).position).toMatchObject({ text: '3', source: 'query' })
    expect(channelPosition(read({ query: { [name]: 'no position' } }).position)).toBe('malformed')
    for (const bad of ['a\nb', '\0', {}]) expect(() => read({ query: { [name]: bad } })).toThrowError(expect.objectContaining({ code: 'INVALID_QUERY', statusCode: 400 }))
  })
  it.each([['a\nb'], ['a\rb'], ['\0'], [['1', '2']], [{}]])('refuses the query %j', (position) => {
    expect(() => read({ query: { position } })).toThrowError(expect.objectContaining({ code: 'INVALID_QUERY', statusCode: 400, message: expect.stringMatching(/^Expected the query parameter `position` to be `start`, `now`/) }))
  })
  it('refuses a query that is malformed for a channel, and accepts such a header', () => {
    expect(channelPosition(undefined)).toBeUndefined()
    expect(channelPosition({ text: 'x', source: 'header', parsed: undefined })).toBe('malformed')
    expect(() => channelPosition({ text: 'x', source: 'query', parsed: undefined })).toThrowError(expect.objectContaining({ code: 'INVALID_POSITION', statusCode: 400 }))
  })
})

describe('waitMs', () => {
  it('is a whole number, or absent', () => {
    expect([read({}).waitMs, read({ query: { waitMs: '0' } }).waitMs, read({ query: { waitMs: '999999999' } }).waitMs]).toEqual([undefined, 0, 999_999_999])
  })
  it.each([[''], ['x'], ['-1'], ['1.5'], ['1e3'], ['9999999999'], [['1']], [null]])('refuses %j', (waitMs) => {
    expect(() => read({ query: { waitMs } })).toThrowError(expect.objectContaining({ code: 'INVALID_QUERY', message: expect.stringContaining('`waitMs`') }))
  })
})
