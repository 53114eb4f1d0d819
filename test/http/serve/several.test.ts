import { describe, expect, it } from 'vitest'
import { createFailingDriver } from '../../../src/runtime/test'
import type { SSEBatch } from '../../../src/runtime/shared/protocol'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { turns } from '../../support/random'
import { useSSEServer, useSSEServers } from '../../support/sse-server'

const start = useSSEServers()
const server = useSSEServer({ retryMs: 1, pollWaitMs: 2_000 })

const OWN = { accept: 'text/event-stream;positions=own' }

/** Two channels with two messages each, on `/live`, and the epochs of both. */
async function twoChannels() {
  const [notices, feed] = [server.channel<number>('n'), server.channel<string>('f')]
  server.route('/live', () => server.channels({ notices, feed }))
  await notices.publish(1)
  await notices.publish(2, { event: 'created' })
  await feed.publish('a')
  await feed.publish('b', { event: 'edited/again' })
  const [n, f] = [(await notices.info()).epoch, (await feed.info()).epoch]
  return { notices, feed, n, f, url: `${server.url}/live` }
}

async function poll(url: string, headers: Record<string, string> = {}): Promise<SSEBatch> {
  const response = await fetch(url, { headers: { accept: 'application/json', ...headers } })
  expect(response.status).toBe(200)
  return await response.json() as SSEBatch
}

const shown = ({ events }: SSEReader) => events.map(({ id, event, data }) => [id, event, JSON.parse(data)])

describe('a stream of several channels', () => {
  it('begins with the state of each, and gives every message the whole position', async () => {
    const { n, f, url } = await twoChannels()
    const reader = await SSEReader.open(url)
    await reader.until(({ messages }) => messages.length === 4)
    const [open, ...rest] = shown(reader)
    expect(open).toEqual([`notices:${n}.0,feed:${f}.0`, 'sse', { type: 'open', heartbeatMs: 15_000, position: `notices:${n}.0,feed:${f}.0`, resumed: false, channels: { notices: { position: `${n}.0`, resumed: false }, feed: { position: `${f}.0`, resumed: false } } }])
    expect(rest).toEqual([
      [`notices:${n}.1,feed:${f}.0`, 'notices', 1],
      [`notices:${n}.2,feed:${f}.0`, 'notices/created', 2],
      [`notices:${n}.2,feed:${f}.1`, 'feed', 'a'],
      [`notices:${n}.2,feed:${f}.2`, 'feed/edited/again', 'b'],
    ])
    await reader.close()
  })

  it.each([OWN.accept, 'text/event-stream; Positions="OWN"', 'text/html, text/event-stream;q=0.9 ; POSITIONS=Own'])('with `%s`, IDs are those of the channel alone, and control messages have none', async (accept) => {
    const { n, f, url, notices } = await twoChannels()
    const reader = await SSEReader.open(`${url}?position=${encodeURIComponent(`notices:${n}.1,feed:other1.7`)}`, { headers: { accept } })
    await notices.publish(3)
    await reader.until(({ messages }) => messages.length === 4)
    expect(shown(reader).filter(([, event]) => event === 'sse')).toEqual([
      [undefined, 'sse', expect.objectContaining({ type: 'open', position: `notices:${n}.1,feed:other1.7`, channels: { notices: { position: `${n}.1`, resumed: true }, feed: { position: 'other1.7', resumed: false } } })],
      [undefined, 'sse', { type: 'gap', channel: 'feed', reason: 'epoch', missed: null, position: `${f}.0` }],
    ])
    expect(reader.messages.filter(({ channel }) => channel === 'notices')).toEqual([{ id: `notices:${n}.2`, channel: 'notices', event: 'created', data: 2 }, { id: `notices:${n}.3`, channel: 'notices', data: 3 }])
    expect(reader.messages.filter(({ channel }) => channel === 'feed')).toEqual([{ id: `feed:${f}.1`, channel: 'feed', data: 'a' }, { id: `feed:${f}.2`, channel: 'feed', event: 'edited/again', data: 'b' }])
    expect(reader.events.map(({ event }) => event).sort()).toEqual(['feed', 'feed/edited/again', 'notices', 'notices/created', 'sse', 'sse'])
    await reader.close()
  })

  it('of a parameter that belongs to another range, or has another value, IDs stay whole', async () => {
    const { n, f, url } = await twoChannels()
    for (const accept of ['application/json;q=0.1;positions=own, text/event-stream', 'text/event-stream;positions=all', 'text/event-stream;xpositions=own']) {
      const reader = await SSEReader.open(url, { headers: { accept } })
      await reader.until(({ controls }) => controls.length === 1)
      expect(reader.events[0]!.id).toBe(`notices:${n}.0,feed:${f}.0`)
      await reader.close()
    }
  })

  it('resumes each channel, by header and by query; gaps of the beginning come before any message, and no ID moves a channel before its gap', async () => {
    const { n, f, url } = await twoChannels()
    for (const headers of [{ 'last-event-id': `notices:${n}.1, feed:gone1.5` }, undefined]) {
      const reader = await SSEReader.open(headers ? url : `${url}?position=notices:${n}.1,feed:gone1.5`, { headers })
      await reader.until(({ messages }) => messages.length === 3)
      expect(shown(reader).map(([id, event]) => [id, event])).toEqual([
        [`notices:${n}.1,feed:gone1.5`, 'sse'],
        [`notices:${n}.1,feed:${f}.0`, 'sse'],
        [`notices:${n}.2,feed:${f}.0`, 'notices/created'],
        [`notices:${n}.2,feed:${f}.1`, 'feed'],
        [`notices:${n}.2,feed:${f}.2`, 'feed/edited/again'],
      ])
      expect(reader.controls[0]).toMatchObject({ resumed: false, channels: { notices: { resumed: true }, feed: { resumed: false } } })
      expect(reader.controls[1]).toEqual({ type: 'gap', channel: 'feed', reason: 'epoch', missed: null, position: `${f}.0` })
      await reader.close()
    }
  })

  it('two gaps of the beginning: each ID moves one of them', async () => {
    const { n, f, url } = await twoChannels()
    const reader = await SSEReader.open(url, { headers: { 'last-event-id': `notices:gone1.1,feed:gone2.5` } })
    await reader.until(({ messages }) => messages.length === 4)
    expect(shown(reader).slice(0, 4).map(([id]) => id)).toEqual(['notices:gone1.1,feed:gone2.5', `notices:${n}.0,feed:gone2.5`, `notices:${n}.0,feed:${f}.0`, `notices:${n}.1,feed:${f}.0`])
    await reader.close()
  })

  it('the end of a channel leaves the others open; the last control message is an `end` of all; then the answer is 204', async () => {
    const { notices, feed, n, f, url } = await twoChannels()
    const reader = await SSEReader.open(url)
    await notices.end()
    await reader.until(({ controls }) => controls.length === 2)
    await feed.publish('c')
    await feed.end()
    await reader.finished
    expect(reader.controls.slice(1)).toEqual([{ type: 'end', channel: 'notices' }, { type: 'end', channel: 'feed' }, { type: 'end' }])
    expect(reader.messages).toHaveLength(5)
    expect(reader.position).toBe(`notices:${n}.2,feed:${f}.3`)
    expect((await fetch(url, { headers: { 'last-event-id': reader.position! } })).status).toBe(204)
    // The rest is sent, with the ends.
    const again = await SSEReader.open(url, { headers: { 'last-event-id': `notices:${n}.2,feed:${f}.2` } })
    await again.finished
    expect([again.data, again.controls.slice(1)]).toEqual([['c'], [{ type: 'end', channel: 'notices' }, { type: 'end', channel: 'feed' }, { type: 'end' }]])
  })

  it('a channel that fails sends its error, at every reconnect; when all are over, the stream has the errors and `end`, and is no 204', async () => {
    const { notices, feed, n, f, url } = await twoChannels()
    await notices.fail(new Error('secret'))
    const error = { type: 'error', channel: 'notices', code: 'SOURCE_FAILED', statusCode: 500, retry: false }
    const reader = await SSEReader.open(url, { headers: { 'last-event-id': `notices:${n}.2,feed:${f}.2` } })
    await reader.until(({ controls }) => controls.length === 2)
    expect(reader.controls[1]).toMatchObject(error)
    await feed.publish('c')
    await reader.until(({ messages }) => messages.length === 1)
    await feed.end()
    await reader.finished
    expect(reader.controls.slice(2)).toEqual([{ type: 'end', channel: 'feed' }, { type: 'end' }])
    const over = await SSEReader.open(url, { headers: { 'last-event-id': `notices:${n}.2,feed:${f}.3` } })
    await over.finished
    expect([over.status, over.controls.slice(1)]).toEqual([200, [expect.objectContaining(error), { type: 'end', channel: 'feed' }, { type: 'end' }]])
    expect(over.messages).toEqual([])
  })

  it('one channel under two keys is read twice', async () => {
    const channel = server.channel<number>('n')
    server.route('/twice', () => server.channels({ a: channel, b: channel }))
    const reader = await SSEReader.open(`${server.url}/twice`, { headers: OWN })
    await channel.publish(1)
    await reader.until(({ messages }) => messages.length === 2)
    const { epoch } = await channel.info()
    expect(reader.messages).toEqual([{ id: `a:${epoch}.1`, channel: 'a', data: 1 }, { id: `b:${epoch}.1`, channel: 'b', data: 1 }])
    await reader.close()
  })

  it('a channel that is deleted while it is read has a gap that names it', async () => {
    const { notices, feed, n, f, url } = await twoChannels()
    const reader = await SSEReader.open(url)
    await reader.until(({ messages }) => messages.length === 4)
    await notices.delete()
    await notices.publish(9)
    await feed.publish('c')
    await reader.until(({ messages }) => messages.length === 6)
    const { epoch } = await notices.info()
    expect(reader.controls[1]).toEqual({ type: 'gap', channel: 'notices', reason: 'epoch', missed: null, position: `${epoch}.0` })
    expect(epoch).not.toBe(n)
    expect(reader.position).toBe(`notices:${epoch}.1,feed:${f}.3`)
    await reader.close()
  })

  it('a channel without a requested position begins where the option `from` has it, and a key that the route does not have is ignored', async () => {
    const { n, f, url, feed } = await twoChannels()
    const reader = await SSEReader.open(`${url}?position=notices:${n}.1,other:e1.7`)
    await reader.until(({ messages }) => messages.length === 3)
    expect(reader.position).toBe(`notices:${n}.2,feed:${f}.2`)
    expect(reader.controls).toHaveLength(1)
    await reader.close()
    server.route('/now', () => server.channels({ notices: server.channel('n'), feed }), { from: 'now' })
    const late = await SSEReader.open(`${server.url}/now?position=notices:${n}.1`)
    await late.until(({ messages }) => messages.length === 1)
    await feed.publish('c')
    await late.until(({ messages }) => messages.length === 2)
    expect(late.data).toEqual([2, 'c'])
    await late.close()
  })

  it.each<[asked: string, keys: 'all' | string[]]>([
    ['e1.5', 'all'],
    ['17', 'all'],
    ['-0', 'all'],
    ['-05', 'all'],
    ['nonsense', 'all'],
    ['notices:7,feed:now', ['notices']],
    ['notices:-05,feed:-1', ['notices']],
    ['notices:,feed:start', ['notices']],
    ['notices:now,notices:now,feed:start', ['notices']],
    ['notices:junk:junk,feed:1.5', ['notices', 'feed']],
    [`${'notices:now,feed:now'.padEnd(4_096, ',')},`, 'all'],
  ])('`%.40s` is a gap of %s, from header and query alike', async (asked, keys) => {
    const { url, n, f } = await twoChannels()
    const expected = (keys === 'all' ? ['notices', 'feed'] : keys).map(channel => ({ type: 'gap', channel, reason: 'invalid', missed: null, position: `${channel === 'notices' ? n : f}.0` }))
    for (const [address, headers] of [[url, { 'last-event-id': asked }], [`${url}?position=${encodeURIComponent(asked)}`, {}]] as const) {
      const reader = await SSEReader.open(address, { headers })
      await reader.until(({ controls }) => controls.length === 1 + expected.length)
      expect(reader.controls.slice(1)).toEqual(expected)
      expect(reader.controls[0]).toMatchObject({ resumed: false })
      await reader.close()
      const batch = await poll(`${address}${address.includes('?') ? '&' : '?'}waitMs=0`, headers)
      // At the top, for a client that knows only one channel.
      expect(batch.gap).toEqual(asked === 'e1.5' ? { reason: 'invalid', missed: null, position: `notices:${n}.0,feed:${f}.0` } : null)
      for (const [key, { gap }] of Object.entries(batch.channels!)) {
        const told = expected.find(({ channel }) => channel === key)
        expect(gap).toEqual(told ? { reason: 'invalid', missed: null, position: told.position } : null)
      }
    }
  })

  it('`start`, `now` and `-n` apply to all channels, and to one as its part', async () => {
    const { url, notices, feed } = await twoChannels()
    const data = async (asked: string) => {
      const reader = await SSEReader.open(`${url}?position=${asked}`)
      await notices.publish(0)
      await reader.until(({ data }) => data.includes(0))
      await feed.publish('end')
      await reader.until(({ data }) => data.includes('end'))
      expect(reader.controls).toMatchObject([{ type: 'open', resumed: false }])
      await reader.close()
      await notices.delete()
      await feed.delete()
      for (const n of [1, 2]) await notices.publish(n)
      for (const letter of ['a', 'b']) await feed.publish(letter)
      return reader.data.slice(0, -2)
    }
    expect(await data('start')).toEqual([1, 2, 'a', 'b'])
    expect(await data('now')).toEqual([])
    expect(await data('-1')).toEqual([2, 'b'])
    expect(await data('-100')).toEqual([1, 2, 'a', 'b'])
    expect(await data('notices:now,feed:-1')).toEqual(['b'])
    expect((await data('feed:start,notices:-1')).sort()).toEqual([2, 'a', 'b'])
  })

  it('a client that leaves releases the readers of all channels, also while the channels are opened', async () => {
    const { url } = await twoChannels()
    const reader = await SSEReader.open(url)
    await reader.until(({ messages }) => messages.length === 4)
    expect(server.left().channels).toBe(2)
    await reader.close()
    await eventually(() => expect(server.left().channels).toBe(0))
    const aborted = new AbortController()
    const leaves = fetch(url, { signal: aborted.signal }).catch(() => {})
    await turns(1)
    aborted.abort()
    await leaves
    await eventually(() => expect(server.left()).toEqual({ connections: 0, heartbeats: 0, channels: 0 }))
  })
})

describe('a stream of several channels, as any stream', () => {
  it('is ended as a whole by `revalidate`, its lifetime and a shutdown', async () => {
    const { notices, feed } = await twoChannels()
    const several = () => server.channels({ notices, feed })
    let allowed = true
    server.route('/checked', several, { revalidate: { everyMs: 20, check: () => allowed } })
    server.route('/short', several, { maxLifetimeMs: 20 })
    const [checked, short, open] = await Promise.all(['checked', 'short', 'live'].map(path => SSEReader.open(`${server.url}/${path}`)))
    allowed = false
    await Promise.all([checked!.finished, short!.finished])
    expect(checked!.controls.at(-1)).toMatchObject({ type: 'error', code: 'UNAUTHORIZED' })
    expect(short!.controls.at(-1)).toMatchObject({ type: 'leave' })
    await server.context.leave()
    await open!.finished
    expect(open!.controls.at(-1)).toMatchObject({ type: 'leave' })
    for (const reader of [checked!, short!, open!]) expect(reader.controls.at(-1)).not.toHaveProperty('channel')
  })

  it('is one connection for limits', async () => {
    const { notices, feed } = await twoChannels()
    server.route('/limited', () => server.channels({ notices, feed }), { maxConnections: 1 })
    const reader = await SSEReader.open(`${server.url}/limited`)
    expect((await fetch(`${server.url}/limited`)).status).toBe(503)
    await reader.close()
    await eventually(async () => {
      const again = await SSEReader.open(`${server.url}/limited`)
      expect(again.status).toBe(200)
      await again.close()
    })
  })

  it('is 503 while the driver cannot be reached, and an open one continues in every channel afterwards', async () => {
    const driver = createFailingDriver()
    const other = await start({ retryMs: 1 }, driver)
    const [a, b] = [other.channel<number>('a'), other.channel<number>('b')]
    other.route('/live', () => other.channels({ a, b }))
    const reader = await SSEReader.open(`${other.url}/live`)
    await a.publish(1)
    await reader.until(({ messages }) => messages.length === 1)
    driver.fail('all')
    for (const query of ['', '?transport=poll']) {
      const refused = await fetch(`${other.url}/live${query}`)
      expect([refused.status, await refused.json()]).toEqual([503, { type: 'pending', message: expect.any(String), retryMs: expect.any(Number) }])
    }
    driver.heal()
    await b.publish(2)
    await a.publish(3)
    await reader.until(({ messages }) => messages.length === 3)
    expect([reader.data.toSorted(), reader.controls]).toEqual([[1, 2, 3], [expect.objectContaining({ type: 'open' })]])
    await reader.close()
  })

  it('answers HEAD with its headers, and starts nothing', async () => {
    const { url } = await twoChannels()
    const types = await Promise.all(['*/*', 'application/json'].map(async accept => (await fetch(url, { method: 'HEAD', headers: { accept } })).headers.get('content-type')))
    expect([types, server.left()]).toEqual([['text/event-stream', 'application/json'], { connections: 0, heartbeats: 0, channels: 0 }])
  })
})

describe('a poll of several channels', () => {
  it('has the messages with their channel, the whole position, and the state of each', async () => {
    const { n, f, url } = await twoChannels()
    expect(await poll(url)).toEqual({
      type: 'batch',
      messages: [{ channel: 'notices', id: `notices:${n}.1`, data: 1 }, { channel: 'notices', id: `notices:${n}.2`, event: 'created', data: 2 }, { channel: 'feed', id: `feed:${f}.1`, data: 'a' }, { channel: 'feed', id: `feed:${f}.2`, event: 'edited/again', data: 'b' }],
      position: `notices:${n}.2,feed:${f}.2`,
      ended: false,
      gap: null,
      channels: { notices: { position: `${n}.2`, ended: false, gap: null }, feed: { position: `${f}.2`, ended: false, gap: null } },
      pollMs: 0,
    })
  })

  it('waits for a message of any channel', async () => {
    const { n, f, url, feed } = await twoChannels()
    const waits = poll(`${url}?position=notices:${n}.2,feed:${f}.2`)
    await eventually(() => expect(server.left().channels).toBe(2))
    await feed.publish('c')
    expect(await waits).toMatchObject({ messages: [{ channel: 'feed', id: `feed:${f}.3`, data: 'c' }], position: `notices:${n}.2,feed:${f}.3`, channels: { notices: { position: `${n}.2` }, feed: { position: `${f}.3` } } })
    await eventually(() => expect(server.left().channels).toBe(0))
  })

  it('an ended channel does not make it spin: it waits for the others, and reports an end that comes meanwhile', async () => {
    const { n, f, url, notices, feed } = await twoChannels()
    await notices.end()
    const position = `notices:${n}.2,feed:${f}.2`
    let answered = false
    const waits = poll(`${url}?position=${position}`).then(batch => (answered = true, batch))
    await eventually(() => expect(server.left().channels).toBe(1))
    expect(answered).toBe(false)
    await feed.fail(new Error('secret'))
    expect(await waits).toMatchObject({ messages: [], position, ended: true, channels: { notices: { ended: true }, feed: { ended: true, error: { code: 'SOURCE_FAILED' } } } })
    expect(await poll(`${url}?position=${position}`)).toMatchObject({ ended: true, channels: { notices: { ended: true }, feed: { error: { code: 'SOURCE_FAILED' } } } })
  })

  it('is bounded in bytes, all channels together, and starves none of them', async () => {
    const names = ['a', 'b', 'c', 'd']
    const channels = Object.fromEntries(names.map(name => [name, server.channel<string>(name)]))
    server.route('/big', () => server.channels(channels))
    const large = 'x'.repeat(1_000_000)
    for (const name of names) for (let n = 0; n < 3; n++) await channels[name]!.publish(`${n}${large}`)
    const seen: Record<string, number> = {}
    let position: string | undefined
    let batches = 0
    while (names.some(name => seen[name] !== 3) && batches++ < 200) {
      const response = await fetch(`${server.url}/big?transport=poll&waitMs=0${position ? `&position=${position}` : ''}`)
      const text = await response.text()
      expect(text.length).toBeLessThan(2_200_000)
      const batch = JSON.parse(text) as SSEBatch<string>
      for (const { channel, data } of batch.messages) {
        expect(data[0]).toBe(`${seen[channel!] ?? 0}`)
        seen[channel!] = (seen[channel!] ?? 0) + 1
      }
      position = batch.position
    }
    expect(seen).toEqual({ a: 3, b: 3, c: 3, d: 3 })
  })

  it('one channel alone may fill a batch when the others have nothing', async () => {
    const [busy, quiet] = [server.channel<number>('busy'), server.channel<number>('quiet')]
    server.route('/busy', () => server.channels({ quiet, busy }))
    for (let n = 1; n <= 1_000; n++) await busy.publish(n)
    const { messages } = await poll(`${server.url}/busy`)
    expect(messages.map(({ data }) => data)).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1))
  })
})
