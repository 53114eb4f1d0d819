import { defineEventHandler } from 'h3'
import { describe, expect, it } from 'vitest'
import { TaggedMessage } from '../../../src/runtime/server/wire/message'
import type { RawConnection } from '../../../src/runtime/server/serve/raw-connection'
import type { SSEError } from '../../../src/runtime/shared/errors'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ retryMs: 100, maxMessageBytes: 1_000 })

async function sent(run: (connection: RawConnection) => unknown): Promise<SSEReader> {
  server.use('/', defineEventHandler((event) => {
    const connection = server.raw(event)
    void (async () => {
      await run(connection)
      await connection.close()
    })()
    return connection.send()
  }))
  const reader = await SSEReader.open(server.url)
  await reader.finished
  return reader
}
const ordinary = (reader: SSEReader) => reader.events.filter(({ event }) => event !== 'sse').map(({ id, event, data }) => ({ ...id !== undefined && { id }, ...event !== undefined && { event }, data }))

describe('createSSEConnection: the surface of createEventStream', () => {
  it('sends text and messages as they are, arrays as several, anything else as JSON', async () => {
    const reader = await sent(async (connection) => {
      for (const message of ['text', '', { data: '{"n":1}', id: '1', event: 'named' }, ['a', 'b'], [{ data: 'c', id: '' }, 'd'], [], 0, false, null, { n: 1 }, { data: 5 }, { data: 'x', other: 1 }, [1, 2], [['a']], new TaggedMessage({ n: 2 }, { event: 'tagged', id: 0 })]) {
        expect(await connection.push(message)).toBe(true)
      }
    })
    expect(ordinary(reader)).toEqual([
      { data: 'text' }, { data: '' }, { data: '{"n":1}', id: '1', event: 'named' }, { data: 'a' }, { data: 'b' }, { data: 'c', id: '' }, { data: 'd' },
      { data: '0' }, { data: 'false' }, { data: 'null' }, { data: '{"n":1}' }, { data: '{"data":5}' }, { data: '{"data":"x","other":1}' }, { data: '[1,2]' }, { data: '[["a"]]' }, { data: '{"n":2}', event: 'tagged', id: '0' },
    ])
    expect(reader.controls.map(({ type }) => type)).toEqual(['open', 'end'])
  })

  // @guarantee line-breaks
  it('data with CR, LF or CRLF stays one message, whatever the lines look like', async () => {
    const data = 'a\r\nevent: sse\rid: 9\ndata: {"type":"end"}\n\n: x\r\rretry: 1'
    const reader = await sent(connection => connection.push({ id: '1', data }))
    expect(ordinary(reader)).toEqual([{ id: '1', data: data.replace(/\r\n|\r/g, '\n') }])
    expect(reader.comments).toEqual([])
    expect(reader.retryMs).not.toBe(1)
  })

  it('sends `retry` and comments', async () => {
    const reader = await sent(async (connection) => {
      await connection.push({ data: 'x', retry: 1234 })
      await connection.comment('still here')
    })
    expect(reader.retryMs).toBe(1234)
    expect(reader.comments).toEqual(['still here'])
  })

  // @guarantee line-breaks
  it.each<[string, unknown, string]>([
    ['an id with CR', { data: 'x', id: 'a\rdata: y' }, 'INVALID_ID'], ['an id with LF', { data: 'x', id: 'a\ndata: y' }, 'INVALID_ID'], ['an id with NUL', { data: 'x', id: '\0' }, 'INVALID_ID'], ['an id of null', { data: 'x', id: null }, 'INVALID_ID'],
    ['an event with CR', { data: 'x', event: 'a\rdata: y' }, 'INVALID_EVENT'], ['an event with CRLF', { data: 'x', event: '\r\n' }, 'INVALID_EVENT'], ['the reserved event', { data: 'x', event: 'sse' }, 'RESERVED_EVENT'],
    ['a retry with LF', { data: 'x', retry: '1\ndata: y' }, 'INVALID_OPTION'], ['a retry of -1', { data: 'x', retry: -1 }, 'INVALID_OPTION'],
    ['too much text', 'x'.repeat(1_001), 'MESSAGE_TOO_LARGE'], ['undefined', undefined, 'INVALID_DATA'], ['a BigInt', 1n, 'INVALID_DATA'],
    ['a mistake in an array, of which then nothing is sent', ['first', { data: 'x', event: 'sse' }], 'RESERVED_EVENT'],
  ])('rejects %s, and stays open', async (_, message, code) => {
    let refused: unknown
    const reader = await sent(async (connection) => {
      void connection.push(message)
      await connection.push(message).catch((error: SSEError) => refused = error.code)
      await connection.push('next')
    })
    expect(refused).toBe(code)
    expect(ordinary(reader)).toEqual([{ data: 'next' }])
  })

  // @guarantee late-push
  it('push after close is false; onClosed runs once, also inside close()', async () => {
    let closed = 0
    let connection!: RawConnection
    await sent((own) => {
      connection = own
      // As documented by h3.
      own.onClosed(async () => {
        closed++
        await own.close()
      })
    })
    expect(await connection.push('late')).toBe(false)
    expect(await connection.push(undefined)).toBe(false)
    expect([closed, connection.closed, connection.closeReason, connection.signal.aborted]).toEqual([1, true, 'end', true])
  })
})
