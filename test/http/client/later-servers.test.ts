import { describe, expect, it } from 'vitest'
import type { SSEGap } from '../../../src/runtime/client'
import { eventually } from '../../support/conditions'
import { control, message } from '../../support/scripted-server'
import { END, MARK, all, data, useHarness } from './harness'

/** Control messages and fields of a later build, which this client does not know. */

const harness = useHarness()
const open = harness.open

const block = (text: string, id?: string) => `${id === undefined ? '' : `id: ${id}\n`}event: sse\ndata: ${text}\n\n`
/** Control messages of a later build, and some that no build sends. */
const UNKNOWN = ['{"type":"later","position":"e9.9","text":"x"}', '{"type":"gap","channel":"a"}', '{}', '[]', 'null', '5', '""', '"end"', 'end']
const KEYS = { a: { position: 'e1.0', resumed: false }, b: { position: 'e2.0', resumed: false } }
const WHOLE = 'a:e1.0,b:e2.0'
const MORE = { later: { type: 'end' }, constructor: 1 }

describe.each(UNKNOWN)('a control message of an unknown type: %s', (text) => {
  it('is no message, and the stream continues', async () => {
    harness.server.script(x => x.open().write(block(text)).write(message(1)).end(END))
    expect(await all(open())).toEqual([{ data: 1 }])
  })

  it('counts with the position in its `id`', async () => {
    harness.server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(block(text, 'e1.3')), x => x.open({ position: 'e1.3', resumed: true }).write(message(4, 'e1.4')).end(END))
    expect(data(await all(open()))).toEqual([1, 4])
    expect(harness.server.exchanges.map(x => x.position)).toEqual([undefined, 'e1.3'])
  })

  it.each(['b:e2.3', 'a:e1.1,b:e2.3', 'b:e2.3,later:e3.1'])('counts with the position in its `id` %s on a route of several channels', async (id) => {
    harness.server.script(
      x => x.open({ position: WHOLE, channels: KEYS }).write(message(1, 'a:e1.1', 'a')).write(block(text)).write(block(text, id)).end(message(2, 'a:e1.2', 'a')),
      x => x.open({ position: 'a:e1.2,b:e2.3', resumed: true, channels: { a: { position: 'e1.2', resumed: true }, b: { position: 'e2.3', resumed: true } } }).write(message(4, 'b:e2.4', 'b')).end(END),
    )
    expect(data(await all(open()))).toEqual([1, 2, 4])
    expect(harness.server.exchanges.map(x => x.position)).toEqual([undefined, 'a:e1.2,b:e2.3'])
  })

  it('is no message before `open`, where the response has the mark of our server', async () => {
    harness.server.script(x => x.stream(block(text), MARK).write(control({ type: 'open', heartbeatMs: 0 })).write(message('{"a":1}')).end(END))
    const source = open()
    expect(await all(source)).toEqual([{ data: '{"a":1}' }])
  })

  it('is a message where another server sends it', async () => {
    harness.server.script(x => x.stream(`data: first\n\n${block(text)}`).end(), x => x.status(204))
    const messages = await all(open({ parse: 'text' }))
    expect(messages).toEqual([{ data: 'first' }, { event: 'sse', data: text }])
  })
})

describe('unknown fields', () => {
  const gap = { reason: 'trimmed', missed: 2, position: 'e1.2' } as const

  it('of control messages are ignored', async () => {
    harness.server.script(
      x => x.open({ position: 'e1.0', ...MORE }).write(control({ type: 'gap', ...gap, ...MORE })).write(control({ type: 'heartbeat', ...MORE })).write(message(3, 'e1.3')).end(control({ type: 'leave', retryMs: 0, ...MORE })),
      x => x.open({ position: 'e1.3', resumed: true, ...MORE }).end(control({ type: 'error', code: 'NO', message: 'No', statusCode: 403, retry: false, ...MORE })),
    )
    const gaps: unknown[] = []
    const source = open({ onGap: (one: SSEGap) => void gaps.push(one) })
    const messages: unknown[] = []
    const error: unknown = await (async () => {
      for await (const one of source) messages.push(one.data)
    })().catch(error => error)
    expect(messages).toEqual([3])
    expect(gaps).toEqual([gap])
    expect(error).toMatchObject({ code: 'NO', message: 'No', statusCode: 403, details: {} })
    expect(error).not.toHaveProperty('later')
  })

  it('of a batch, its messages, gaps and errors are ignored', async () => {
    harness.server.script(
      x => x.batch([{ id: 'e1.3', data: 3, ...MORE }], { gap: { ...gap, ...MORE }, ...MORE }),
      x => x.batch([{ id: 'e1.4', event: 'named', data: { later: 1 }, ...MORE }], { ended: true, ...MORE }),
    )
    const gaps: unknown[] = []
    const messages = await all(open({ transports: ['poll'], onGap: (one: SSEGap) => void gaps.push(one) }))
    expect(messages).toStrictEqual([{ id: 'e1.3', data: 3 }, { id: 'e1.4', event: 'named', data: { later: 1 } }])
    expect(gaps).toStrictEqual([gap])
  })

  it('of a batch of several channels are ignored', async () => {
    const part = (position: string, fields = {}) => ({ position, ended: true, gap: null, ...MORE, ...fields })
    harness.server.script(x => x.batch([{ channel: 'a', id: 'a:e1.3', data: 3, ...MORE }], {
      position: 'a:e1.3,b:e2.0',
      ended: true,
      channels: { a: part('e1.3', { gap: { ...gap, ...MORE } }), b: part('e2.0') },
      ...MORE,
    }))
    const gaps: unknown[] = []
    const messages = await all(open({ transports: ['poll'], onGap: (one: SSEGap) => void gaps.push(one) }))
    expect(messages).toStrictEqual([{ channel: 'a', id: 'a:e1.3', data: 3 }])
    expect(gaps).toStrictEqual([{ ...gap, channel: 'a' }])
  })

  it('of a page of older messages are ignored', async () => {
    harness.server.script(
      x => x.open({ position: 'e1.3' }).write(message(4, 'e1.4')),
      x => x.status(200, { type: 'page', messages: [{ id: 'e1.3', data: 3, ...MORE }], hasOlder: false, ...MORE }),
    )
    const source = open()
    void all(source)
    await eventually(() => expect(source.position).toBe('e1.4'))
    expect(await source.loadOlder()).toStrictEqual([{ id: 'e1.3', data: 3 }])
  })
})
