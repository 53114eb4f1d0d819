import type { H3Event } from 'h3'
import { beforeEach, describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { SSEHooks } from '../../../src/runtime/server/insight/hooks'
import { disconnectFromTab } from '../../../src/runtime/server/devtools/disconnect'
import { Recorder, startCursor } from '../../../src/runtime/server/devtools/recorder'
import { createFailingDriver } from '../../../src/runtime/test'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { startSSEServer, useSSEServer } from '../../support/sse-server'

const server = useSSEServer()
let recorder: Recorder
beforeEach(() => {
  recorder = new Recorder(() => server.context)
  server.context.tap = recorder.tap
  server.context.insight.hooks = {
    isHeard: () => true,
    call: (name, payload) => (recorder.hooks[name as keyof SSEHooks] as (payload: unknown) => void)(payload),
  }
  server.route('/feed', () => server.channel('feed'))
  server.route('/push', (_, connection) => void connection.push({ n: 1 }, { event: 'tick' }))
  server.route('/fails', () => {
    throw new Error('secret')
  })
})

const snapshot = (cursor = startCursor()) => recorder.snapshot(cursor)
const lines = async (cursor?: ReturnType<typeof startCursor>) => (await snapshot(cursor)).log.map(({ kind, where, event, text }) => [kind, where, event, text])

it('shows open streams, with their channel, position and numbers, and those that are over with the reason', async () => {
  const channel = server.channel('feed')
  const reader = await SSEReader.open(`${server.url}/feed?x=1`)
  const id = await channel.publish({ n: 1 })
  await reader.until(({ messages }) => messages.length === 1)
  await eventually(async () => expect((await snapshot()).connections).toEqual([
    { id: 1, method: 'GET', path: '/feed?x=1', channel: 'feed', position: id, openedAt: expect.any(Number), messages: 1, bytes: reader.raw.length, waiting: false },
  ]))
  expect((await snapshot()).stats).toMatchObject({ connections: 1, published: 1 })
  await reader.close()
  await eventually(async () => expect(await snapshot()).toMatchObject({ connections: [], closed: [{ id: 1, channel: 'feed', position: id, reason: 'disconnect', messages: 1, closedAt: expect.any(Number) }] }))
})

it('shows several channels of one stream, each in the list', async () => {
  server.route('/live', () => server.channels({ notices: server.channel('user:1'), feed: server.channel('feed') }))
  const reader = await SSEReader.open(`${server.url}/live`)
  await server.channel('user:1').publish(1)
  await reader.until(({ messages }) => messages.length === 1)
  await eventually(async () => expect(await snapshot()).toMatchObject({ connections: [{ channel: 'user:1, feed', position: reader.position }] }))
  expect((await snapshot()).channels.map(({ name, readers }) => `${name} ${readers}`).sort()).toEqual(['feed 1', 'user:1 1'])
  await reader.close()
  await eventually(async () => expect((await snapshot()).channels.map(({ readers }) => readers)).toEqual([0, 0]))
})

it('shows channels as their driver has them, and creates none', async () => {
  const epoch = (await server.channel('feed').publish(1)).split('.')[0]
  await server.channel('feed').publish(2)
  await server.channel('job').publish(1)
  await server.channel('job').fail(new Error('x'))
  await server.channel('gone').publish(1)
  await server.channel('gone').delete()
  await using reader = await SSEReader.open(`${server.url}/feed`)
  await reader.until(({ messages }) => messages.length === 2)
  const { channels } = await snapshot()
  expect(channels.toSorted((a, b) => a.name < b.name ? -1 : 1)).toEqual([
    { name: 'feed', readers: 1, epoch, lastOffset: 2, messages: 2, state: 'open' },
    { name: 'job', readers: 0, epoch: expect.any(String), lastOffset: 1, messages: 1, state: 'failed' },
  ])
  expect((await server.context.driver.lease!('gone', { type: 'look' }, server.context.options.retention)).state).toBeUndefined()
})

it('shows channels of a driver without leases, and forgets those that are gone', async () => {
  const { lease: _, ...driver } = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
  let reads = 0
  const counted = { ...driver, read: (...args: Parameters<typeof driver.read>) => driver.read(...args).finally(() => args[0] === 'gone' && reads++) }
  const other = await startSSEServer({}, counted)
  const tab = new Recorder(() => other.context)
  other.context.insight.hooks = server.context.insight.hooks && { isHeard: () => true, call: (name, payload) => (tab.hooks[name as keyof SSEHooks] as (payload: unknown) => void)(payload) }
  await other.channel('kept').publish(1)
  await other.channel('gone').publish(1)
  await other.channel('gone').delete()
  const shown = async () => (await tab.snapshot(startCursor())).channels.map(({ name, messages, state }) => [name, messages, state])
  expect(await shown()).toContainEqual(['kept', 1, 'open'])
  for (let times = 0; times < 3; times++) expect(await shown()).toEqual([['kept', 1, 'open']])
  expect(reads).toBe(1)
  await other.close()
})

it('shows each message once to each tab: of channels from their log, of others as they are sent', async () => {
  await server.channel('feed').publish('before')
  const [first, second] = [startCursor(), startCursor()]
  expect(await lines(first)).toEqual([['message', 'feed', undefined, '"before"']])
  const readers = [await SSEReader.open(`${server.url}/feed`), await SSEReader.open(`${server.url}/feed`), await SSEReader.open(`${server.url}/push`)]
  await server.channel('feed').publish('after', { event: 'news' })
  for (const reader of readers.slice(0, 2)) await reader.until(({ messages }) => messages.length === 2)
  await readers[2]!.until(({ messages }) => messages.length === 1)
  const seen: unknown[][] = []
  await eventually(async () => {
    seen.push(...await lines(first))
    expect(seen.filter(([kind]) => kind === 'control')).toHaveLength(3)
  })
  expect(seen.filter(([kind]) => kind === 'message').toSorted()).toEqual([['message', '/push', 'tick', '{"n":1}'], ['message', 'feed', 'news', '"after"']])
  expect(await lines(first)).toEqual([])
  expect((await lines(second)).filter(([kind]) => kind === 'message')).toHaveLength(3)
  for (const reader of readers) await reader.close()
})

it('shows gaps, errors and refusals', async () => {
  await SSEReader.open(`${server.url}/fails`)
  await using reader = await SSEReader.open(`${server.url}/feed`, { headers: { 'last-event-id': 'x.1' } })
  await reader.until(({ controls }) => controls.length === 2)
  await eventually(async () => {
    const shown = await lines()
    expect(shown).toContainEqual(['error', '/fails', undefined, 'UNKNOWN: secret'])
    expect(shown).toContainEqual(['gap', 'feed', undefined, expect.stringMatching(/^(?:epoch|invalid), unknown how many missed/)])
  })
})

it('shows late what it could not show while the driver was down, and nothing twice', async () => {
  const driver = createFailingDriver()
  const other = await startSSEServer({}, driver)
  const away = new Recorder(() => other.context)
  const cursor = startCursor()
  await other.channel('feed').publish(1)
  away.hooks['sse:publish']({ channel: 'feed', id: 'x', bytes: 1 })
  away.hooks['sse:error']({ error: 'x', code: 'X', where: 'background' })
  driver.fail('read', { times: 1 })
  await expect(away.snapshot(cursor)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
  expect((await away.snapshot(cursor)).log.map(({ kind }) => kind)).toEqual(['error', 'message'])
  expect((await away.snapshot(cursor)).log).toEqual([])
  await other.close()
})

it('keeps only a bounded number', async () => {
  for (let n = 0; n < 1_000; n++) recorder.hooks['sse:error']({ error: new Error('x'.repeat(10_000)), code: 'X', where: 'background' })
  for (let n = 0; n < 300; n++) recorder.hooks['sse:publish']({ channel: `c${n}`, id: '1', bytes: 1 })
  const { log } = await snapshot()
  expect(log.length).toBeLessThanOrEqual(400)
  expect(log[0]!.text.length).toBeLessThan(2_100)
  // None of them exists: looked for once, and forgotten.
  expect((await snapshot()).channels).toEqual([])
  const cursor = startCursor()
  await snapshot(cursor)
  for (let n = 0; n < 1_000; n++) recorder.hooks['sse:error']({ error: 'late', code: 'X', where: 'background' })
  expect((await snapshot(cursor)).log.length).toBeLessThanOrEqual(400)
})

describe('presence and disconnects', () => {
  const as = (user: string) => ({ headers: { 'x-user': user } })
  const paths = async () => (await snapshot()).connections.map(({ path, key }) => `${path} ${key}`).sort()
  beforeEach(() => {
    const clientKey = (event: H3Event) => event.node.req.headers['x-user'] as string | undefined
    server.route('/keyed', () => server.channel('feed'), { clientKey })
    server.route('/other', () => server.channel('feed'), { clientKey })
    server.route('/room', event => server.presence('room', { id: event.node.req.headers['x-user'] as string, data: { n: 1 } }))
    server.route('/watch', () => server.presence('room'))
  })

  it('shows the client key of each stream that has one', async () => {
    await using _first = await SSEReader.open(`${server.url}/keyed`, as('ann'))
    await using _second = await SSEReader.open(`${server.url}/keyed`, as('ben'))
    await using _third = await SSEReader.open(`${server.url}/feed`, as('ann'))
    expect(await paths()).toEqual(['/feed undefined', '/keyed ann', '/keyed ben'])
  })

  // @guarantee disconnect
  it.each([false, true])('ends all streams of a key, as `disconnectSSE` does, and no other; leave: %s', async (leave) => {
    const mine = [await SSEReader.open(`${server.url}/keyed`, as('ann')), await SSEReader.open(`${server.url}/other`, as('ann'))]
    await using other = await SSEReader.open(`${server.url}/keyed`, as('ben'))
    await disconnectFromTab(server.context, recorder, { key: 'ann', leave })
    for (const reader of mine) {
      await reader.finished
      expect(reader.controls.at(-1)).toMatchObject(leave ? { type: 'leave' } : { type: 'error', code: 'DISCONNECTED', statusCode: 401, retry: false })
    }
    expect(other.controls.at(-1)).toMatchObject({ type: 'open' })
    await eventually(async () => expect(await paths()).toEqual(['/keyed ben']))
  })

  it.each([false, true])('ends one stream, whether or not it has a key; leave: %s', async (leave) => {
    const reader = await SSEReader.open(`${server.url}/feed?mine`)
    await using other = await SSEReader.open(`${server.url}/feed?other`)
    const { id } = (await snapshot()).connections.find(({ path }) => path === '/feed?mine')!
    await disconnectFromTab(server.context, recorder, { connection: id, leave })
    await reader.finished
    expect(reader.controls.at(-1)).toMatchObject(leave ? { type: 'leave' } : { type: 'error', code: 'DISCONNECTED', statusCode: 401, retry: false })
    expect(other.controls.at(-1)).toMatchObject({ type: 'open' })
    await eventually(async () => expect(await paths()).toEqual(['/feed?other undefined']))
    await expect(disconnectFromTab(server.context, recorder, { connection: id })).rejects.toMatchObject({ code: 'INVALID_OPTION', statusCode: 400 })
  })

  it('refuses what names nothing', async () => {
    for (const body of [{}, { key: '' }, { key: 7 }, { key: 'ann', leave: 'yes' }, { connection: 'x' }, { connection: 1_000 }]) {
      await expect(disconnectFromTab(server.context, recorder, body as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    }
  })

  it('shows the names of presence with their members, and no more of them than fit', async () => {
    expect((await snapshot()).presences).toEqual([])
    await using watcher = await SSEReader.open(`${server.url}/watch`)
    expect((await snapshot()).presences).toEqual([{ name: 'room', count: 0, members: [] }])
    await using _member = await SSEReader.open(`${server.url}/room`, as('ann'))
    await watcher.until(({ messages }) => messages.length === 2)
    expect((await snapshot()).presences).toEqual([{ name: 'room', count: 1, members: [{ id: 'ann', data: '{"n":1}' }] }])
    const hold = async (count: number) => {
      const members = Array.from({ length: count }, (_, n) => ({ id: `${n}`, member: JSON.stringify({ id: `${n}`, data: n === 0 ? 'x'.repeat(500) : undefined }) }))
      await server.context.driver.presence!('nuxt-sse:presence:room', { holder: 'elsewhere', leaseMs: 60_000, hold: members }, server.context.options.retention)
    }
    await hold(100)
    const { count, members } = (await snapshot()).presences[0]!
    expect([count, members.length]).toEqual([101, 20])
    expect(Math.max(...members.map(({ data = '' }) => data.length))).toBeLessThan(210)
    await hold(300)
    expect((await snapshot()).presences).toEqual([{ name: 'room', count: 301, members: [] }])
  })
})
