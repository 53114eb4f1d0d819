import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import type { SSEGap, SSEMessage, SSESource } from '../../../src/runtime/client'
import { eventually } from '../../support/conditions'
import { control, message } from '../../support/scripted-server'
import { startProxy } from '../../support/proxy'
import { useSSEServer } from '../../support/sse-server'
import { QUICK, all, data, failure, spyOnRequests, stubBrowser, useHarness } from './harness'

const server = useSSEServer({ retryMs: 1, pollWaitMs: 50 })
const harness = useHarness()

/** Reads a source in the background. */
function follow(source: SSESource): { messages: SSEMessage[], done: Promise<void> } {
  const messages: SSEMessage[] = []
  return { messages, done: (async () => {
    for await (const one of source) messages.push(one)
  })() }
}

const openChannels = (channels: Record<string, [position: string, resumed?: boolean]>) => ({
  position: Object.entries(channels).map(([key, [position]]) => `${key}:${position}`).join(),
  resumed: Object.values(channels).every(([, resumed]) => resumed),
  channels: Object.fromEntries(Object.entries(channels).map(([key, [position, resumed = false]]) => [key, { position, resumed }])),
})

describe.each(['stream', 'poll'] as const)('a route of several channels, by %s', (transport) => {
  const open = (url: string, position?: string) => openSSE(url, { ...QUICK, transports: [transport], position }) as SSESource

  it('gives each message the key of its channel and its own name, ends when all have ended, and keeps the whole position', async () => {
    const [notices, feed] = [server.channel<unknown>('n'), server.channel<unknown>('f')]
    server.route('/live', () => server.channels({ notices, feed }))
    await notices.publish(1)
    await notices.publish(2, { event: 'created' })
    await feed.publish('a', { event: 'edited/again' })
    const source = open(`${server.url}/live`)
    const { messages, done } = follow(source)
    await eventually(() => expect(messages).toHaveLength(3))
    const [n, f] = [(await notices.info()).epoch, (await feed.info()).epoch]
    expect(messages.filter(one => one.channel === 'notices')).toEqual([{ channel: 'notices', id: `notices:${n}.1`, data: 1 }, { channel: 'notices', id: `notices:${n}.2`, event: 'created', data: 2 }])
    expect(messages.filter(one => one.channel === 'feed')).toEqual([{ channel: 'feed', id: `feed:${f}.1`, event: 'edited/again', data: 'a' }])
    expect(source.position).toBe(`notices:${n}.2,feed:${f}.1`)
    await notices.end()
    await feed.publish('b')
    await eventually(() => expect(messages).toHaveLength(4))
    await feed.end()
    await done
    expect([source.status, source.error]).toEqual(['closed', undefined])
    // Read on from the position: nothing comes twice.
    expect(await all(open(`${server.url}/live`, source.position))).toEqual([])
    expect(data(await all(open(`${server.url}/live`, `notices:${n}.1,feed:${f}.1`)))).toEqual(expect.arrayContaining([2, 'b']))
  })

  it('a gap names its channel and leaves the others', async () => {
    const [notices, feed] = [server.channel<number>('n'), server.channel<number>('f')]
    server.route('/live', () => server.channels({ notices, feed }))
    await notices.publish(1)
    await feed.publish(2)
    const n = (await notices.info()).epoch
    const source = open(`${server.url}/live`, `notices:${n}.1,feed:other1.7`)
    const { messages } = follow(source)
    await eventually(() => expect(messages.map(one => one.channel)).toEqual(['feed']))
    const f = (await feed.info()).epoch
    expect(source.gap).toEqual({ reason: 'epoch', missed: null, position: `${f}.0`, channel: 'feed' } satisfies SSEGap)
    expect(source.position).toBe(`notices:${n}.1,feed:${f}.1`)
    source.close()
  })

  it('a channel that fails shows its error, the others go on, and the loop throws it when all are over', async () => {
    const [notices, feed] = [server.channel<number>('n'), server.channel<number>('f')]
    server.route('/live', () => server.channels({ notices, feed }))
    const source = open(`${server.url}/live`)
    const { messages, done } = follow(source)
    const failed = done.catch(error => error)
    await notices.publish(1)
    await eventually(() => expect(messages).toHaveLength(1))
    await notices.fail(new Error('broken'))
    await eventually(() => expect(source.error).toMatchObject({ code: 'SOURCE_FAILED', retry: false, details: { channel: 'notices' } }))
    expect(source.status).toBe('connected')
    await feed.publish(2)
    await eventually(() => expect(messages).toHaveLength(2))
    await feed.end()
    expect(await failed).toMatchObject({ code: 'SOURCE_FAILED', details: { channel: 'notices' } })
  })
})

it('a poll whose gap moves a channel back is no answer of a cache', async () => {
  const { server } = harness
  server.script(x => x.batch([{ channel: 'feed', id: 'feed:e1.3', data: 3 } as never, { channel: 'feed', id: 'feed:e1.4', data: 4 } as never], {
    position: 'feed:e1.4',
    ended: true,
    channels: { feed: { position: 'e1.4', ended: true, gap: { reason: 'invalid', missed: null, position: 'e1.2' } } },
  }))
  const source = harness.open({ transports: ['poll'], position: 'feed:e1.9' })
  expect(data(await all(source))).toEqual([3, 4])
  expect([server.exchanges.length, source.gap?.reason, source.error]).toEqual([1, 'invalid', undefined])
})

describe('the position of several channels', () => {
  it('`positions=own` is asked of the page\'s own origin, and elsewhere once an `open` of ours has come', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(), x => x.open({ position: 'e1.1', resumed: true }), x => x.status(404))
    const source = harness.open()
    await eventually(() => expect(server.exchanges).toHaveLength(2))
    expect(server.exchanges.map(x => x.request.headers.accept)).toEqual(['text/event-stream', 'text/event-stream;positions=own'])
    source.close()
    stubBrowser()
    vi.stubGlobal('location', new URL(server.url))
    harness.open()
    await eventually(() => expect(server.exchanges).toHaveLength(3))
    expect(server.exchanges[2]!.request.headers.accept).toBe('text/event-stream;positions=own')
  })

  it('is not asked of a foreign server, whose IDs and names stay as they are', async () => {
    const { server } = harness
    server.script(x => x.stream(message(1, 'feed:e1.1', 'feed/created')).end(), x => x.stream())
    const source = harness.open()
    const { messages } = follow(source)
    await eventually(() => expect(server.exchanges).toHaveLength(2))
    expect(messages).toEqual([{ id: 'feed:e1.1', event: 'feed/created', data: '1' }])
    expect(server.exchanges[1]!.request.headers.accept).toBe('text/event-stream')
    expect(server.exchanges[1]!.position).toBe('feed:e1.1')
  })

  it('moves with own IDs and with whole ones, part by part', async () => {
    const { server } = harness
    server.script(
      x => x.open(openChannels({ a: ['e1.0'], b: ['e2.0'] })).write(message(1, 'a:e1.1,b:e2.0', 'a') + message(2, 'a:e1.1,b:e2.1', 'b')).end(),
      x => x.open(openChannels({ a: ['e1.1', true], b: ['e2.1', true] })).write(message(3, 'b:e2.2', 'b') + message(4, undefined, 'a') + message(5, 'a:e1.2', 'a/x/y')).end(),
      x => x.open(openChannels({ a: ['e1.2', true], b: ['e2.2', true] })),
    )
    const source = harness.open()
    const { messages } = follow(source)
    await eventually(() => expect(server.exchanges).toHaveLength(3))
    expect(server.exchanges.map(x => x.position)).toEqual([undefined, 'a:e1.1,b:e2.1', 'a:e1.2,b:e2.2'])
    expect(messages.map(({ id, event, channel }) => [id, channel, event])).toEqual([['a:e1.1', 'a', undefined], ['b:e2.1', 'b', undefined], ['b:e2.2', 'b', undefined], [undefined, 'a', undefined], ['a:e1.2', 'a', 'x/y']])
  })

  it('until the gap of a channel was reported, a reconnect requests its old position again', async () => {
    const { server } = harness
    server.script(
      x => x.open(openChannels({ a: ['old1.7'], b: ['e2.0', true] })).write(message(1, 'b:e2.1', 'b')).end(),
      x => x.open(openChannels({ a: ['old1.7'], b: ['e2.1', true] })).write(control({ type: 'gap', channel: 'a', reason: 'epoch', missed: null, position: 'e1.4' })).end(),
      x => x.open(openChannels({ a: ['e1.4', true], b: ['e2.1', true] })),
    )
    const source = harness.open({ position: 'a:old1.7,b:e2.0' })
    follow(source)
    await eventually(() => expect(server.exchanges).toHaveLength(3))
    expect(server.exchanges.map(x => x.position)).toEqual(['a:old1.7,b:e2.0', 'a:old1.7,b:e2.1', 'a:e1.4,b:e2.1'])
    expect(source.gap).toEqual({ reason: 'epoch', missed: null, position: 'e1.4', channel: 'a' })
  })

  it('a cache\'s answer is recognised by any part, also where the set of channels has changed', async () => {
    const { server } = harness
    server.script(
      x => x.open(openChannels({ a: ['e1.0'], b: ['e2.0'] })).write(message(1, 'a:e1.1', 'a') + message(2, 'b:e2.1', 'b')).end(),
      // A channel less and one more: no stale answer.
      x => x.open(openChannels({ c: ['e3.0'], b: ['e2.1', true] })).write(message(3, 'c:e3.1', 'c')).end(),
      x => x.open(openChannels({ c: ['e3.0', true], b: ['e2.1', true] })).write(message('stale', 'c:e3.1', 'c')),
      x => x.open(openChannels({ c: ['e3.1', true], b: ['e2.1', true] })).write(message('stale', 'b:e2.1', 'b')),
      x => x.open(openChannels({ c: ['e3.1', true], b: ['e2.1', true] })).write(message(4, 'b:e2.2', 'b')).end(control({ type: 'end' })),
    )
    const source = harness.open()
    expect(data(await all(source))).toEqual([1, 2, 3, 4])
    expect(server.exchanges.map(x => x.position)).toEqual([undefined, 'a:e1.1,b:e2.1', 'c:e3.1,b:e2.1', 'c:e3.1,b:e2.1', 'c:e3.1,b:e2.1'])
  })
})

describe('a route that changes under an open client', () => {
  it.each(['stream', 'poll'] as const)('grows from one channel to several, and shrinks back, by %s: each loss is reported', async (transport) => {
    const [one, other] = [server.channel<number>('one'), server.channel<number>('other')]
    let several = false
    server.route('/live', () => several ? server.channels({ one, other }) : one)
    const proxy = await startProxy(server.url)
    onTestFinished(() => proxy.close())
    const source = openSSE(`${proxy.url}/live`, { ...QUICK, transports: [transport] }) as SSESource
    const { messages } = follow(source)
    await one.publish(1)
    await eventually(() => expect(data(messages)).toEqual([1]))
    several = true
    await other.publish(10)
    proxy.cut()
    await one.publish(2)
    await eventually(() => expect(data(messages)).toEqual(expect.arrayContaining([10, 2])))
    expect(source.gap).toMatchObject({ reason: 'invalid', missed: null })
    expect(['one', 'other']).toContain(source.gap!.channel)
    several = false
    proxy.cut()
    await one.publish(3)
    await eventually(() => expect(source.gap!.channel).toBeUndefined())
    expect(source.gap).toMatchObject({ reason: 'invalid', missed: null })
    await eventually(async () => expect(source.position).toBe(`${(await one.info()).epoch}.3`))
    expect(data(messages).at(-1)).toBe(3)
    source.close()
  })

  it('a position that the server gave and now refuses is dropped with a gap, and the client connects once more', async () => {
    const { server } = harness
    const refused = (x: Parameters<Parameters<typeof server.script>[0]>[0]) => x.status(400, { data: { code: 'INVALID_POSITION' }, message: 'no' })
    server.script(
      x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(),
      refused,
      x => x.open({ position: 'e2.0' }).write(message(2, 'e2.1')).end(control({ type: 'end' })),
    )
    const requests = spyOnRequests(server.url)
    const source = harness.open({ position: 'start' })
    expect(data(await all(source))).toEqual([1, 2])
    expect(source.gap).toEqual({ reason: 'invalid', missed: null })
    expect(requests()).toBe(3)
    expect(server.exchanges.map(x => x.position)).toEqual(['start', 'e1.1', 'start'])
  })

  it('a position that the user gave is refused for good', async () => {
    const { server } = harness
    server.script(x => x.status(400, { data: { code: 'INVALID_POSITION' }, message: 'no' }))
    expect(await failure(harness.open({ position: 'bogus' }))).toMatchObject({ code: 'INVALID_POSITION' })
    expect(server.exchanges).toHaveLength(1)
  })
})
