import { createParser } from 'eventsource-parser'
import type { EventSourceMessage } from 'eventsource-parser'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TaggedMessage, encodeItem } from '../../../src/runtime/server/wire/message'
import { HEARTBEAT, assertEvent, assertSize, byteLength, encodeComment, encodeControl, encodeData, encodeId, encodeMessage, encodeOpeningBlock, encodeRetry, encodeText } from '../../../src/runtime/server/wire/encode'
import { SSEError } from '../../../src/runtime/shared/errors'

interface Parsed { events: EventSourceMessage[], comments: string[], retries: number[], errors: unknown[] }

/** Reads text with an independent parser, one byte at a time through one streaming decoder. */
function parse(text: string): Parsed {
  const parsed: Parsed = { events: [], comments: [], retries: [], errors: [] }
  const parser = createParser({
    onEvent: event => void parsed.events.push(event),
    onComment: comment => void parsed.comments.push(comment),
    onRetry: retry => void parsed.retries.push(retry),
    onError: error => void parsed.errors.push(error),
  })
  const decoder = new TextDecoder()
  for (const byte of encodeText(text)) parser.feed(decoder.decode(Uint8Array.of(byte), { stream: true }))
  return parsed
}

function codeOf(run: () => unknown): unknown {
  try {
    run()
  }
  catch (error) {
    expect(error).toBeInstanceOf(SSEError)
    expect((error as SSEError).message).toMatch(/^[A-Z].*\.$/s)
    return (error as SSEError).code
  }
  return undefined
}

const MAX = 1_048_576
/** Texts that break parsers, mixed with arbitrary ones. */
const nastyText = fc.array(fc.oneof(
  fc.constantFrom('\r', '\n', '\r\n', '\0', '\uFEFF', '\u2028', '\u2029', '\u0085', ' ', ':', 'data: ', 'id: ', 'event: ', '\n\n', '\uD800', '\uDC00', '😀', 'é', ''),
  fc.string({ unit: 'binary', maxLength: 4 }),
), { maxLength: 8 }).map(parts => parts.join(''))
const json = fc.oneof(fc.constantFrom<unknown>('', 0, -0, false, null, [], {}, '\uFEFF', ' x', '\r\n', true), nastyText, fc.jsonValue({ maxDepth: 3 }), fc.array(nastyText), fc.dictionary(nastyText, nastyText))
/** Any text of a field that UTF-8 can hold. */
const wellFormed = nastyText.filter(text => text.isWellFormed())
const fieldText = wellFormed.map(text => text.replace(/[\r\n\0]/g, ''))

describe('wire: a parser reads the encoded messages', () => {
  // @guarantee line-breaks, empty-ids, falsy-data, split-bytes
  it('parse(encode(m)) == m, for any JSON, name and id, one byte at a time', () => {
    fc.assert(fc.property(fc.array(fc.record({
      data: json,
      event: fc.option(fieldText.filter(text => text !== '' && text !== 'sse'), { nil: undefined }),
      id: fc.option(fieldText, { nil: undefined }),
    }), { maxLength: 4 }), (messages) => {
      const { events, comments, errors } = parse(messages.map(({ data, event, id }) => encodeMessage(encodeItem(new TaggedMessage(data, { event, id }), MAX))).join(''))
      expect(errors).toEqual([])
      expect(comments).toEqual([])
      expect(events.map(({ data, event, id }) => ({ data: JSON.parse(data), event, id }))).toEqual(
        messages.map(({ data, event, id }) => ({ data: JSON.parse(JSON.stringify(data)), event, id })))
    }), { numRuns: 1_000 })
  })

  // @guarantee line-breaks, split-bytes
  it('raw data with line breaks of any kind keeps its lines', () => {
    fc.assert(fc.property(wellFormed, (data) => {
      const { events, errors } = parse(encodeMessage({ data }) + encodeMessage({ data: 'next' }))
      expect(errors).toEqual([])
      expect(events.map(event => event.data)).toEqual([data.replace(/\r\n|\r/g, '\n'), 'next'])
      expect(events.every(event => event.id === undefined && event.event === undefined)).toBe(true)
    }), { numRuns: 1_000 })
  })

  // @guarantee line-breaks
  it('a comment never becomes a field or a message', () => {
    fc.assert(fc.property(wellFormed, (text) => {
      const { events, comments, retries, errors } = parse(encodeComment(text))
      expect([events, retries, errors]).toEqual([[], [], []])
      expect(comments).toEqual(text.split(/\r\n|\r|\n/))
    }), { numRuns: 1_000 })
  })

  it('separates the messages before and after a comment, a heartbeat, a control message and a retry', () => {
    const text = encodeMessage({ data: '1' }) + HEARTBEAT + encodeComment('a\r\nb') + encodeControl({ type: 'end' }) + encodeRetry(0) + encodeMessage({ data: '2' })
    const { events, comments, retries } = parse(text)
    expect(events).toEqual([{ data: '1', event: undefined, id: undefined }, { data: '{"type":"end"}', event: 'sse', id: undefined }, { data: '2', event: undefined, id: undefined }])
    expect(comments).toEqual(['', 'a', 'b'])
    expect(retries).toEqual([0])
  })
})

describe('wire: exact bytes', () => {
  // @guarantee first-heartbeat
  it('the opening block is the one of the protocol', () => {
    expect(encodeOpeningBlock(2310, { type: 'open', heartbeatMs: 15_000, position: 'k3v9x1qa.41', resumed: true }, 'k3v9x1qa.41')).toBe(
      'retry: 2310\nid: k3v9x1qa.41\nevent: sse\ndata: {"type":"open","heartbeatMs":15000,"position":"k3v9x1qa.41","resumed":true}\n\n')
    expect(encodeOpeningBlock(2310, { type: 'open', heartbeatMs: 0, position: undefined, resumed: undefined })).toBe(
      'retry: 2310\nevent: sse\ndata: {"type":"open","heartbeatMs":0}\n\n')
  })

  // @guarantee heartbeat-ids
  it('a heartbeat is a comment, and moves no id', () => {
    expect(HEARTBEAT).toBe(':\n\n')
    expect(parse(HEARTBEAT)).toEqual({ events: [], comments: [''], retries: [], errors: [] })
  })

  // @guarantee falsy-data
  it.each([
    ['', 'data: ""\n\n'],
    [0, 'data: 0\n\n'],
    [false, 'data: false\n\n'],
    [null, 'data: null\n\n'],
    [{ a: '\n' }, 'data: {"a":"\\n"}\n\n'],
    [[1], 'data: [1]\n\n'],
    ['\uD800', 'data: "\\ud800"\n\n'],
    [new Date(0), 'data: "1970-01-01T00:00:00.000Z"\n\n'],
  ])('sends %j as JSON', (data, bytes) => {
    expect(encodeMessage({ data: encodeData(data, MAX) })).toBe(bytes)
  })

  // @guarantee empty-ids
  it('ids 0, "0" and "" are ids', () => {
    expect(encodeMessage({ id: encodeId(0), data: '1' })).toBe('id: 0\ndata: 1\n\n')
    expect(encodeMessage({ id: encodeId('0'), data: '1' })).toBe('id: 0\ndata: 1\n\n')
    expect(parse(encodeMessage({ id: encodeId(''), data: '1' })).events).toEqual([{ id: '', event: undefined, data: '1' }])
    expect(encodeId(undefined)).toBeUndefined()
  })

  it('keeps leading spaces and colons of a name', () => {
    expect(parse(encodeMessage({ event: '  : x', data: '1' })).events[0]!.event).toBe('  : x')
  })
})

describe('wire: values refused at run time', () => {
  const breaks = { 'a bare CR': '\r', 'a bare LF': '\n', 'CRLF': '\r\n', 'NUL': '\0', 'half a surrogate pair': '\uD800' }
  for (const [name, text] of Object.entries(breaks)) {
    // @guarantee line-breaks
    it(`refuses an id with ${name}`, () => {
      expect(codeOf(() => encodeId(`1${text}data: injected`))).toBe('INVALID_ID')
      expect(codeOf(() => encodeItem(new TaggedMessage(1, { id: `x${text}` }), MAX))).toBe('INVALID_ID')
    })
    // @guarantee line-breaks
    it(`refuses an event name with ${name}`, () => {
      expect(codeOf(() => assertEvent(`a${text}data: injected`))).toBe('INVALID_EVENT')
      expect(codeOf(() => encodeItem(1, MAX, { event: `${text}sse` }))).toBe('INVALID_EVENT')
    })
  }

  // @guarantee line-breaks
  it.each(['1\ndata: x', Number.NaN, Infinity, -1, 1.5, null, {}])('refuses a retry of %j', (retry) => {
    expect(codeOf(() => encodeRetry(retry as number))).toBe('INVALID_OPTION')
  })

  // @guarantee line-breaks
  it.each([null, {}, [], true, Number.NaN, Infinity, { toString: () => 'a\nb' }])('refuses an id of %j, whatever its type', (id) => {
    expect(codeOf(() => encodeId(id))).toBe('INVALID_ID')
  })

  // @guarantee line-breaks
  it.each(['', 1, null, {}, ['sse'], { toString: () => 'sse' }, 'x'.repeat(513)])('refuses an event name of %j', (event) => {
    expect(codeOf(() => assertEvent(event))).toBe('INVALID_EVENT')
  })

  it('refuses the reserved name, and only that', () => {
    expect(codeOf(() => assertEvent('sse'))).toBe('RESERVED_EVENT')
    expect(codeOf(() => assertEvent('SSE'))).toBeUndefined()
    expect(codeOf(() => assertEvent(' sse'))).toBeUndefined()
  })

  const circular: Record<string, unknown> = {}
  circular.self = circular
  // @guarantee falsy-data
  it.each<[string, unknown]>([
    ['undefined', undefined], ['a function', () => 1], ['a symbol', Symbol('s')], ['a BigInt', 1n], ['a BigInt inside', { n: 1n }], ['a circle', circular],
    ['NaN', Number.NaN], ['Infinity', -Infinity], ['a Map', new Map()], ['a Set', new Set()], ['bytes', new Uint8Array(1)], ['an ArrayBuffer', new ArrayBuffer(1)],
    ['toJSON that gives undefined', { toJSON: () => undefined }], ['toJSON that throws', { toJSON() { throw new Error('no') } }], ['a Promise', Promise.resolve(1)],
  ])('refuses data that JSON cannot hold: %s', (_, data) => {
    expect(codeOf(() => encodeData(data, MAX))).toBe('INVALID_DATA')
  })

  it('refuses a message over the limit, counted in bytes of UTF-8', () => {
    expect(codeOf(() => assertSize('a'.repeat(100), 100))).toBeUndefined()
    expect(codeOf(() => assertSize('a'.repeat(101), 100))).toBe('MESSAGE_TOO_LARGE')
    expect(codeOf(() => assertSize('é'.repeat(50), 100))).toBeUndefined()
    expect(codeOf(() => assertSize('é'.repeat(51), 100))).toBe('MESSAGE_TOO_LARGE')
    expect(codeOf(() => assertSize('😀'.repeat(25), 100))).toBeUndefined()
    expect(codeOf(() => assertSize('😀'.repeat(26), 100))).toBe('MESSAGE_TOO_LARGE')
    expect(codeOf(() => encodeData('x'.repeat(98), 100))).toBeUndefined()
    expect(codeOf(() => encodeData('x'.repeat(99), 100))).toBe('MESSAGE_TOO_LARGE')
  })

  it('counts bytes like an encoder', () => {
    fc.assert(fc.property(nastyText, text => byteLength(text) === new TextEncoder().encode(text).length))
  })
})
