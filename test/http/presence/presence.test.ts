import { connect } from 'node:net'
import { getQuery } from 'h3'
import { describe, expect, it, vi } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import { reduceSSEPresence } from '../../../src/runtime/app/reduce-sse-presence'
import { createFailingDriver } from '../../../src/runtime/test'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { SSEPresenceMember, SSEPresenceMessage } from '../../../src/runtime/shared/presence'
import { PROTOCOL_HEADER, RENDER } from '../../../src/runtime/shared/protocol'
import { MAX_TIMER_MS } from '../../../src/runtime/shared/rules'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { useSSEServers } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'

const start = useSSEServers()
const LEAVE_MS = 60
const ann = { id: 'ann', data: { name: 'Ann' } }
const ben = { id: 'ben', data: { name: 'Ben' } }

/** `?id=` is the member, `?data=` its data; without an ID, the client only watches. */
async function serveRoom(options: Parameters<typeof start>[0] = {}, driver?: Parameters<typeof start>[1]): Promise<TestServer> {
  const server = await start({ leaveAfterMs: LEAVE_MS, ...options }, driver)
  server.route('/room', (event) => {
    const { id, data } = getQuery(event)
    return server.presence('room', id === undefined ? undefined : { id: String(id), ...data !== undefined && { data } })
  })
  server.route('/both', event => server.channels({ here: server.presence('room', { id: String(getQuery(event).id) }), room: server.channel('room') }))
  return server
}

const open = (server: TestServer, query = '', init?: RequestInit) => SSEReader.open(`${server.url}/room${query}`, init)
const poll = async (server: TestServer, query: string, init?: RequestInit) => (await fetch(`${server.url}/room?transport=poll&${query}`, init)).json()
const people = async (server: TestServer) => (await server.presence('room').members()).map(({ id }) => id).sort()
const listOf = ({ data }: SSEReader) => (data as SSEPresenceMessage[]).reduce<SSEPresenceMember[]>((list, message) => reduceSSEPresence(list, { data: message }), [])

describe('a stream', () => {
  // @guarantee presence
  it('receives the members first, itself among them, then each change once', async () => {
    const server = await serveRoom()
    const first = await open(server, '?id=ann')
    await first.until(({ messages }) => messages.length === 1)
    const second = await open(server, '?id=ben&data=1')
    await second.until(({ messages }) => messages.length === 1)
    expect(second.data[0]).toEqual({ type: 'members', members: [{ id: 'ann' }, { id: 'ben', data: '1' }] })
    await first.until(({ messages }) => messages.length === 2)
    const third = await open(server, '?id=ben&data=2')
    await second.until(({ messages }) => messages.length === 2)
    second.close()
    third.close()
    await first.until(({ messages }) => messages.length === 4)
    expect(first.data).toEqual([
      { type: 'members', members: [{ id: 'ann' }] },
      { type: 'join', member: { id: 'ben', data: '1' } },
      { type: 'update', member: { id: 'ben', data: '2' } },
      { type: 'leave', id: 'ben' },
    ])
    const [epoch] = first.messages[0]!.id!.split('.')
    expect(first.messages.map(({ id }) => id)).toEqual([1, 2, 3, 4].map(offset => `${epoch}.${offset}`))
    expect(await server.presence('room').members()).toEqual([{ id: 'ann' }])
    expect(await server.presence('room').count()).toBe(1)
    first.close()
  })

  it('receives an empty list of an empty room, and our client accepts it', async () => {
    const server = await serveRoom()
    const stream = openSSE<SSEPresenceMessage>(`${server.url}/room`, { transports: ['stream'] })
    const seen: SSEPresenceMessage[] = []
    for await (const { data } of stream) {
      seen.push(data)
      if (seen.length === 1) void open(server, '?id=ann')
      if (seen.length === 2) break
    }
    expect(seen).toEqual([{ type: 'members', members: [] }, { type: 'join', member: { id: 'ann' } }])
  })

  // @guarantee presence
  it('a further tab of a member is no message, and it leaves with the last tab', async () => {
    const server = await serveRoom()
    const watcher = await open(server)
    const tabs = await Promise.all([1, 2, 3].map(() => open(server, '?id=ann')))
    await Promise.all(tabs.map(tab => tab.until(({ messages }) => messages.length === 1)))
    tabs[0]!.close()
    tabs[1]!.close()
    await new Promise(resolve => setTimeout(resolve, 2 * LEAVE_MS))
    expect(await people(server)).toEqual(['ann'])
    tabs[2]!.close()
    await watcher.until(({ messages }) => messages.length === 3)
    expect(watcher.data.map(message => (message as SSEPresenceMessage).type)).toEqual(['members', 'join', 'leave'])
    watcher.close()
  })

  // @guarantee presence
  it('that reconnects in time has not left, and receives what it missed', async () => {
    const server = await serveRoom({ leaveAfterMs: 60_000 })
    const watcher = await open(server)
    const first = await open(server, '?id=ann')
    await first.until(({ messages }) => messages.length === 1)
    first.close()
    await eventually(() => expect(server.context.connections.size).toBe(1))
    const other = await open(server, '?id=ben')
    await watcher.until(({ messages }) => messages.length === 3)
    const again = await open(server, '?id=ann', { headers: { 'last-event-id': first.position! } })
    await again.until(({ messages }) => messages.length === 1)
    expect(again.controls[0]).toMatchObject({ type: 'open', resumed: true, position: first.position })
    expect(again.data).toEqual([{ type: 'join', member: { id: 'ben' } }])
    expect(watcher.data.map(message => (message as SSEPresenceMessage).type)).toEqual(['members', 'join', 'join'])
    for (const reader of [watcher, other, again]) reader.close()
  })

  it.each([['a position of another life', 'eother.7', 'epoch'], ['text that is no position', 'nonsense', 'invalid']])('receives a gap and the members with %s', async (_, position, reason) => {
    const server = await serveRoom()
    const watcher = await open(server, '?id=ann', { headers: { 'last-event-id': position } })
    await watcher.until(({ messages }) => messages.length === 1)
    expect(watcher.controls[1]).toMatchObject({ type: 'gap', reason, position: 'start' })
    expect(watcher.data).toEqual([{ type: 'members', members: [{ id: 'ann' }] }])
    watcher.close()
  })

  it.each(['start', 'now', '-5', '0'])('receives the members with `position=%s`, or continues', async (position) => {
    const server = await serveRoom()
    const first = await open(server, '?id=ann')
    await first.until(({ messages }) => messages.length === 1)
    const reader = await open(server, `?position=${position}`)
    await reader.until(({ messages }) => messages.length === 1)
    expect(listOf(reader)).toEqual([{ id: 'ann' }])
    for (const one of [first, reader]) one.close()
  })

  // @guarantee presence
  it('that the server sent away stays for the time until its reconnect', async () => {
    const server = await serveRoom({ retryMs: 60_000 })
    const watcher = await open(server)
    const member = await open(server, '?id=ann')
    await member.until(({ messages }) => messages.length === 1)
    const [connection] = [...server.context.connections].slice(-1)
    connection!.leave(60_000)
    await member.finished
    await new Promise(resolve => setTimeout(resolve, 3 * LEAVE_MS))
    expect(await people(server)).toEqual(['ann'])
    const again = await open(server, '?id=ann')
    await again.until(({ messages }) => messages.length === 1)
    again.close()
    await watcher.until(({ messages }) => messages.length === 3)
    watcher.close()
  })

  it('that vanished without closing its connection leaves after maxLifetimeMs, and the time until its reconnect', async () => {
    const server = await serveRoom({ maxLifetimeMs: 200, retryMs: 20 })
    const { hostname, port } = new URL(server.url)
    const vanished = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    const closed = vi.fn()
    vanished.on('close', closed)
    vanished.write('GET /room?id=ann HTTP/1.1\r\nhost: room\r\n\r\n')
    await eventually(async () => expect(await people(server)).toEqual(['ann']))
    await eventually(async () => expect(await people(server)).toEqual([]))
    expect(closed).not.toHaveBeenCalled()
    vanished.destroy()
  })

  // @guarantee presence
  it('of a long list receives it in parts, each within maxMessageBytes, of which only the last moves the position', async () => {
    const server = await serveRoom({ maxMessageBytes: 200 })
    const ids = Array.from({ length: 30 }, (_, index) => `member-${index}-ü`)
    const members = await Promise.all(ids.map(id => open(server, `?id=${encodeURIComponent(id)}`)))
    await Promise.all(members.map(one => one.until(({ messages }) => messages.length > 0)))
    const reader = await open(server)
    await reader.until(({ data }) => !(data.at(-1) as { more?: true } | undefined ?? { more: true }).more)
    expect(reader.messages.length).toBeGreaterThan(2)
    for (const { data } of reader.messages) expect(Buffer.byteLength(JSON.stringify(data))).toBeLessThanOrEqual(200)
    // `eventsource-parser` reports only the IDs of the messages themselves.
    expect(reader.messages.map(({ id }) => id === undefined)).toEqual(reader.messages.map((_, index) => index < reader.messages.length - 1))
    expect(listOf(reader).map(({ id }) => id).sort()).toEqual([...ids].sort())
    const batch = await poll(server, 'waitMs=0')
    expect(batch.messages.flatMap(({ data }: { data: { members: unknown[] } }) => data.members)).toHaveLength(30)
    for (const one of [...members, reader]) one.close()
  })

  it('is refused with 503 while the driver cannot be reached, and leaves no member', async () => {
    const driver = createFailingDriver()
    const server = await serveRoom({}, driver)
    const watcher = await open(server)
    await watcher.until(({ messages }) => messages.length === 1)
    driver.fail('presence', { times: 1, lost: 'answer' })
    const refused = await fetch(`${server.url}/room?id=ann`)
    expect(refused.status).toBe(503)
    await refused.text()
    await eventually(async () => expect(await people(server)).toEqual([]))
    watcher.close()
  })
})

describe('several channels', () => {
  it('a presence beside a channel of the same name', async () => {
    const server = await serveRoom()
    const reader = await SSEReader.open(`${server.url}/both?id=ann`)
    await reader.until(({ messages }) => messages.length === 1)
    await server.channel('room').publish('hello')
    await reader.until(({ messages }) => messages.length === 2)
    expect(reader.messages.map(({ channel, data }) => [channel, data])).toEqual([['here', { type: 'members', members: [{ id: 'ann' }] }], ['room', 'hello']])
    const open = reader.controls[0] as unknown as { position: string }
    expect(open.position).toMatch(/^here:start,room:\w+\.0$/)
    const { position } = reader
    expect(position).toMatch(/^here:\w+\.1,room:\w+\.1$/)
    const again = await SSEReader.open(`${server.url}/both?id=ben`, { headers: { 'last-event-id': position! } })
    await again.until(({ messages }) => messages.length === 1)
    expect(again.controls[0]).toMatchObject({ resumed: true })
    expect(again.data).toEqual([{ type: 'join', member: { id: 'ben' } }])
    for (const one of [reader, again]) one.close()
  })

  it('by poll, and with the IDs of each channel alone', async () => {
    const server = await serveRoom()
    const batch = await (await fetch(`${server.url}/both?id=ann&transport=poll`)).json()
    expect(batch.messages).toMatchObject([{ channel: 'here', data: { type: 'members' } }])
    expect(batch.position).toMatch(/^here:\w+\.1,room:\w+\.0$/)
    const own = await SSEReader.open(`${server.url}/both?id=ben`, { headers: { accept: 'text/event-stream;positions=own' } })
    await own.until(({ messages }) => messages.length === 1)
    expect(own.messages[0]!.id).toMatch(/^here:\w+\.2$/)
    own.close()
  })
})

describe.each(['stream', 'poll'] as const)('our client on a route with a presence, by %s', (transport) => {
  /** Messages up to the one for which `isLast` is true, each with the position after it. */
  async function read(url: string, isLast: (data: SSEPresenceMessage | string, count: number) => boolean, options: { channel?: string, position?: string } = {}) {
    const source = openSSE<SSEPresenceMessage | string>(url, { transports: [transport], ...options })
    const messages: { channel?: string, data: SSEPresenceMessage | string, position?: string }[] = []
    for await (const { channel, data } of source) {
      messages.push({ channel, data, position: source.position })
      if (isLast(data, messages.length)) source.close()
    }
    return messages
  }

  const isEndOfList = (data: SSEPresenceMessage | string) => typeof data === 'object' && data.type === 'members' && !data.more
  const idsIn = (messages: { data: SSEPresenceMessage | string }[]) => messages.flatMap(({ data }) => typeof data === 'object' && data.type === 'members' ? data.members.map(({ id }) => id) : []).sort()

  it.each([['here', 12, 2], ['room', 12, 2], ['here', 3, 1], ['room', 3, 1]])('receives the list and the messages, and has the whole list from each position before its end: %s first, %i members in parts: %i', async (first, count, parts) => {
    const server = await serveRoom({ maxMessageBytes: 200, pollWaitMs: 1_000 })
    const channels = { here: server.presence('room'), room: server.channel('room') }
    server.route('/live', () => server.channels(first === 'here' ? channels : { room: channels.room, here: channels.here }))
    const members = await Promise.all(Array.from({ length: count }, (_, index) => open(server, `?id=member-${index}`)))
    await eventually(async () => expect(await people(server)).toHaveLength(count))
    await server.channel('room').publish('a')
    const messages = await read(`${server.url}/live`, (_, received) => received === parts + 1)
    expect(idsIn(messages)).toEqual(await people(server))
    expect(messages.filter(({ channel }) => channel === 'room').map(({ data }) => data)).toEqual(['a'])
    const end = messages.findIndex(({ data }) => isEndOfList(data))
    for (const { position } of messages.slice(0, end)) {
      expect(position).toContain('here:start')
      expect(idsIn(await read(`${server.url}/live`, isEndOfList, { position }))).toEqual(await people(server))
    }
    for (const member of members) member.close()
  })

  it('follows one of the channels', async () => {
    const server = await serveRoom()
    await server.channel('room').publish('hello')
    expect(await read(`${server.url}/both?id=ann`, () => true, { channel: 'here' })).toMatchObject([{ channel: 'here', data: { type: 'members', members: [{ id: 'ann' }] } }])
    expect(await read(`${server.url}/both?id=ann`, () => true, { channel: 'room' })).toMatchObject([{ channel: 'room', data: 'hello' }])
  })
})

describe('a client that loaded a state', () => {
  it.each(['stream', 'poll'])('continues after it on each channel, and receives the members first (%s)', async (transport) => {
    const server = await serveRoom()
    const room = server.channel<number>('room')
    await room.publish(1)
    const { position } = await server.channels({ here: server.presence('room', ben), room }).snapshot(() => 'state')
    await room.publish(2)
    const received: unknown[] = []
    const sse = openSSE(`${server.url}/both?id=ann`, { position, transports: [transport as 'stream' | 'poll'] })
    for await (const { channel, data } of sse) {
      received.push({ channel, data })
      if (received.length === 2) break
    }
    expect(received).toHaveLength(2)
    expect(received).toEqual(expect.arrayContaining([{ channel: 'here', data: { type: 'members', members: [{ id: 'ann' }] } }, { channel: 'room', data: 2 }]))
  })
})

describe('a poll', () => {
  it('receives the members first, then what follows, and waits', async () => {
    const server = await serveRoom({ pollWaitMs: 10_000 })
    const first = await poll(server, 'id=ann')
    expect(first).toMatchObject({ gap: null, ended: false, messages: [{ data: { type: 'members', members: [{ id: 'ann' }] } }] })
    expect(first.messages[0]).not.toHaveProperty('id')
    const waiting = poll(server, `id=ann&position=${first.position}`)
    await eventually(() => expect(server.context.insight.polls).toBe(1))
    const other = await open(server, '?id=ben')
    expect((await waiting).messages).toMatchObject([{ data: { type: 'join', member: { id: 'ben' } } }])
    const gap = await poll(server, 'id=ann&position=eother.3')
    expect(gap).toMatchObject({ gap: { reason: 'epoch', position: 'start' }, messages: [{ data: { type: 'members' } }] })
    other.close()
  })

  // @guarantee presence
  it('counts as present until pollWaitMs and leaveAfterMs after the last one', async () => {
    const server = await serveRoom({ pollWaitMs: 300 })
    const watcher = await open(server)
    const startedAt = performance.now()
    await poll(server, 'id=ann')
    await watcher.until(({ messages }) => messages.length === 3)
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(300 + LEAVE_MS - 20)
    watcher.close()
  })

  it('our client polls an empty presence without spinning, and moves to a stream without a message', async () => {
    const server = await serveRoom({ pollWaitMs: 200 })
    const stream = openSSE<SSEPresenceMessage>(`${server.url}/room`, { transports: ['poll'] })
    const next = stream[Symbol.asyncIterator]()
    expect((await next.next()).value!.data).toEqual({ type: 'members', members: [] })
    const before = server.context.insight.pollsTotal
    const begun = performance.now()
    const more = next.next()
    await new Promise(resolve => setTimeout(resolve, 500))
    // One each 200 ms, and those that overlap with the beginning and the end.
    expect(server.context.insight.pollsTotal - before).toBeLessThan((performance.now() - begun) / 200 + 4)
    const member = await open(server, '?id=ann')
    expect((await more).value!.data).toEqual({ type: 'join', member: { id: 'ann' } })
    stream.close()
    member.close()
  })
})

describe('reads without a join', () => {
  it('HEAD, a request for older messages, and a render on the server', async () => {
    const server = await serveRoom()
    await fetch(`${server.url}/room?id=ann`, { method: 'HEAD' })
    await (await fetch(`${server.url}/room?id=ann&before=eabc.1`, { headers: { accept: 'application/json' } })).text()
    const batch = await poll(server, 'id=ann&waitMs=0', { headers: { [PROTOCOL_HEADER]: RENDER } })
    expect(batch.messages[0].data).toEqual({ type: 'members', members: [] })
    expect(await server.presence('room').count()).toBe(0)
  })
})

it('a time to stay that is as long as a timer may be is not exceeded by the wait of a poll', async () => {
  const server = await serveRoom({ leaveAfterMs: MAX_TIMER_MS, pollWaitMs: 1_000 })
  const timers = vi.spyOn(globalThis, 'setTimeout')
  await poll(server, 'id=ann&waitMs=0')
  await eventually(() => expect(timers.mock.calls.some(([, ms]) => ms === MAX_TIMER_MS)).toBe(true))
  expect(Math.max(...timers.mock.calls.map(([, ms]) => ms ?? 0))).toBe(MAX_TIMER_MS)
  timers.mockRestore()
})

it('a stream that opens while the server shuts down asks its client to reconnect, and reports no error', async () => {
  const driver = createFailingDriver(createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention))
  const server = await serveRoom({}, driver)
  driver.slow('read', { delayMs: 50 })
  const response = fetch(`${server.url}/room`)
  await eventually(() => expect(driver.calls.read).toBe(1))
  await server.context.close()
  expect(await (await response).text()).toContain('"type":"leave"')
  expect(server.reported).toEqual([])
})

it('many clients that are cut off at once are one timer, and leave', async () => {
  const server = await serveRoom()
  const exits = await Promise.all(Array.from({ length: 200 }, (_, index) => server.presence('room', { id: `m${index}` }).enter()))
  expect(await server.presence('room').count()).toBe(200)
  const timers = vi.spyOn(globalThis, 'setTimeout')
  for (const [index, exit] of exits.entries()) exit!(LEAVE_MS + index)
  expect(timers.mock.calls).toHaveLength(1)
  timers.mockRestore()
  await eventually(async () => expect(await server.presence('room').count()).toBe(0))
})

it.each([{ type: 'away', id: 'ann' }, { type: 'typing', member: { id: 'cleo' } }, { type: 'join' }, null, 5])('a message that this build does not know changes no list: %j', async (message) => {
  const server = await serveRoom()
  const first = await open(server, '?id=ann')
  await first.until(({ messages }) => messages.length === 1)
  // What a later build may send.
  await server.presence('room').publish(message as never)
  await first.until(({ messages }) => messages.length === 2)
  const second = await open(server, '?id=ben')
  await second.until(({ messages }) => messages.length === 1)
  expect(second.data[0]).toEqual({ type: 'members', members: [{ id: 'ann' }, { id: 'ben' }] })
  first.close()
  second.close()
})

describe('refusals', () => {
  it.each([
    ['no ID', {}], ['an empty ID', { id: '' }], ['a number', { id: 5 }], ['half a character', { id: '\uD800' }], ['a long ID', { id: 'x'.repeat(513) }], ['text', 'ann'], ['a list', [ann]], ['null', null],
  ])('a member with %s', async (_, member) => {
    const server = await serveRoom()
    expect(() => server.presence('room', member as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('an ID that a client chose, as a bad request', async () => {
    const server = await serveRoom()
    for (const id of ['', 'x'.repeat(513)]) {
      const response = await fetch(`${server.url}/room?id=${id}`)
      expect(response.status).toBe(400)
      expect((await response.json()).data).toMatchObject({ code: 'INVALID_OPTION' })
    }
    expect(server.reported).toEqual([])
  })

  it.each([['an error', new Error('no')], ['a function', () => {}], ['a symbol', Symbol('no')], ['no number', Number.NaN], ['bytes', new Uint8Array(1)], ['a bigint', 1n]])('data that JSON would lose: %s', async (_, data) => {
    const server = await serveRoom()
    expect(() => server.presence('room', { id: 'ann', data })).toThrow(expect.objectContaining({ code: 'INVALID_DATA' }))
  })

  it.each([['a misspelt option', { leaveAfter: 1 }], ['null', null], ['a number', 5]])('options: %s', async (_, options) => {
    const server = await serveRoom()
    expect(() => server.presence('room', ann, options as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('a member that is too large, options, and the names of channels that belong to presence', async () => {
    const server = await serveRoom({ maxMessageBytes: 200 })
    expect(() => server.presence('room', { id: 'ann', data: 'x'.repeat(150) })).toThrow(expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }))
    expect(() => server.presence('room', ben, { leaveAfterMs: -1 })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(() => server.presence('')).toThrow(expect.objectContaining({ code: 'INVALID_CHANNEL' }))
    expect(() => server.channel('nuxt-sse:presence:room')).toThrow(expect.objectContaining({ code: 'INVALID_CHANNEL' }))
    server.presence('x'.repeat(512))
  })

  it('a driver without presence', async () => {
    const server = await serveRoom({}, { ...createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention), presence: undefined })
    const response = await fetch(`${server.url}/room?id=ann`)
    expect(response.status).toBe(501)
    expect((await response.json()).data).toMatchObject({ code: 'NOT_SUPPORTED', retry: false })
    await expect(server.presence('room').members()).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
  })
})
