import { describe, expect, it } from 'vitest'
import { control, message } from '../../support/scripted-server'
import { eventually } from '../../support/conditions'
import { resolveClientOptions } from '../../support/client-options'
import { all, data, failure, useHarness } from './harness'
import { share, useSharers } from './sharer'

const harness = useHarness()
const open = harness.open
useSharers()

/** Blocks of a server that has IDs and knows nothing of this protocol. */
const blocks = (...ids: string[]) => ids.map(id => `id: ${id}\ndata: {"token":"${id}"}\n\n`).join('')

describe('a POST to a server that sends no `open`', () => {
  it.each([
    ['numbers', blocks('0', '1', '2')],
    ['IDs that look like positions', blocks('e1.1', 'e1.2')],
    ['an ID without data', 'id: 5\n\n'],
    ['no IDs', 'data: {"token":"x"}\n\n'],
    ['an event named `sse` that looks like `open`, after a message', blocks('e1.1') + control({ type: 'open', heartbeatMs: 0, position: 'e1.1' }, 'e1.1')],
    ['an event named `sse` that looks like `leave`', blocks('1') + control({ type: 'leave', retryMs: 1 })],
  ])('is sent once when the answer ends: %s', async (_, text) => {
    harness.server.script(x => x.stream(text).end())
    expect(await failure(open({ method: 'POST', body: { prompt: 'hi' } }))).toMatchObject({ code: 'INTERRUPTED', retry: false })
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it.each(['cut', 'end'] as const)('is sent once by all that share it, and not to catch up: %s', async (how) => {
    harness.server.script(x => x.stream(blocks('e1.1', 'e1.2')))
    const options = { method: 'POST', body: { prompt: 'hi' } }
    const first = share(harness.server.url, options)
    await eventually(() => expect(first.seen).toHaveLength(2))
    const late = share(harness.server.url, options)
    await eventually(() => expect(late.state.status).toBe('connected'))
    harness.server.exchanges[0]!.write(blocks('e1.3'))
    await eventually(() => expect([first.seen.length, late.seen.length]).toEqual([3, 1]))
    harness.server.exchanges[0]![how]()
    await eventually(() => expect([first.state, late.state]).toMatchObject([{ status: 'closed', error: { code: 'INTERRUPTED' } }, { status: 'closed', error: { code: 'INTERRUPTED' } }]))
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('is not cut by pause(), although it has an ID', async () => {
    harness.server.script(x => x.stream(blocks('1')))
    const sharer = share(harness.server.url, { method: 'POST', body: {} })
    await eventually(() => expect(sharer.seen).toHaveLength(1))
    sharer.pause()
    expect(sharer.state.status).toBe('connected')
  })
})

describe('an event named `sse` of a server that sends no `open`', () => {
  it.each([
    { type: 'end' },
    { type: 'leave', retryMs: 1 },
    { type: 'gap', reason: 'epoch', missed: null, position: 'e9.9' },
    { type: 'error', code: 'X', statusCode: 500, message: 'x', retry: false },
  ])('is a message like any other: %j', async (theirs) => {
    harness.server.script(x => x.stream('id: 1\ndata: {"first":true}\n\n').write(control(theirs)).write('id: 2\nevent: last\ndata: {}\n\n'))
    const source = open({ until: one => one.event === 'last' })
    expect(await all(source)).toEqual([{ id: '1', data: { first: true } }, { event: 'sse', data: theirs }, { id: '2', event: 'last', data: {} }])
    expect(source).toMatchObject({ gap: undefined, position: '2', error: undefined })
  })
})

describe('a server that sends `open`', () => {
  it('but no position: a POST is not repeated for the IDs of its messages', async () => {
    harness.server.script(x => x.open().write(blocks('1', '2')).end())
    expect(await failure(open({ method: 'POST', body: {} }))).toMatchObject({ code: 'INTERRUPTED' })
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('and a position: a POST continues from it', async () => {
    harness.server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(), x => x.open({ position: 'e1.1', resumed: true }).write(message(2, 'e1.2')).end(control({ type: 'end' })))
    expect(data(await all(open({ method: 'POST', body: {} })))).toEqual([1, 2])
    expect(harness.server.exchanges.map(x => x.position)).toEqual([undefined, 'e1.1'])
  })
})

describe('delays against a server that sends no `open`', () => {
  const retryOf = async (script: string, options = {}) => {
    harness.server.script(x => x.stream(script).end())
    const sharer = share(harness.server.url, { reconnect: {}, ...options })
    await eventually(() => expect(sharer.state.error?.retryAt).toBeDefined())
    const delayMs = sharer.state.error!.retryAt! - Date.now()
    sharer.stop()
    return delayMs
  }

  it.each([
    ['3 s where it has no `retry`', 'data: {}\n\n', 2_500, 6_000],
    ['its `retry`', 'retry: 10000\n\ndata: {}\n\n', 9_500, 20_000],
    ['an hour where its `retry` is longer', 'retry: 99999999999\n\ndata: {}\n\n', 3_599_000, 7_200_000],
  ])('are at least %s', async (_, script, least, most) => {
    for (let n = 0; n < 5; n++) {
      const delayMs = await retryOf(script)
      expect(delayMs).toBeGreaterThan(least)
      expect(delayMs).toBeLessThanOrEqual(most)
    }
  })
})

describe('a POST with a late answer', () => {
  it('fails with CONNECT_TIMEOUT, and is not sent again', async () => {
    harness.server.script(() => {})
    expect(await failure(open({ method: 'POST', body: {}, connectTimeoutMs: 200 }))).toMatchObject({ code: 'CONNECT_TIMEOUT', retry: false, message: expect.stringContaining('200 ms') })
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('has 60 s by default, as its upload is part of them', () => {
    const limit = (options: Parameters<typeof resolveClientOptions>[0]) => resolveClientOptions(options).connectTimeoutMs
    expect([limit({}), limit({ method: 'POST' }), limit({ method: 'POST', body: {} }), limit({ method: 'POST', body: () => ({}), connectTimeoutMs: 5 })]).toEqual([10_000, 10_000, 60_000, 5])
  })
})
