import { getQuery } from 'h3'
import { describe, expect, it } from 'vitest'
import { reduceSSEPresence } from '../../../src/runtime/app/reduce-sse-presence'
import type { SSEPresenceMember, SSEPresenceMessage } from '../../../src/runtime/shared/presence'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { useSSEServers } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'
import type { Sharer } from './sharer'
import { openTab, share, useSharers } from './sharer'

/** Presence through shared connections, with the real server: each call reduces the messages that it receives. */

const start = useSSEServers()
useSharers()

async function serveRoom(options: Parameters<typeof start>[0] = {}): Promise<TestServer> {
  const server = await start({ leaveAfterMs: 1_000, retryMs: 20, pollWaitMs: 100, ...options })
  server.route('/room', (event) => {
    const { id, data } = getQuery(event)
    return server.presence('room', id === undefined ? undefined : { id: String(id), ...data !== undefined && { data } })
  })
  server.route('/live', event => server.channels({ here: server.presence('room', { id: String(getQuery(event).id) }), room: server.channel('room') }))
  return server
}

/** Opens a call for the same request: in the same page, or in a tab of its own. */
const KINDS: Record<string, () => Promise<(url: string, options?: { channel?: string }) => Sharer>> = {
  page: async () => (url, options) => share(url, { share: 'page', ...options }),
  browser: openTab,
}

const byId = (one: { id: string }, other: { id: string }) => one.id < other.id ? -1 : 1
const listOf = ({ messages }: Sharer) => (messages as { data: SSEPresenceMessage }[]).reduce<SSEPresenceMember[]>((list, message) => reduceSSEPresence(list, message), []).sort(byId)
const idsOf = (sharer: Sharer) => listOf(sharer).map(({ id }) => id)
const typesOf = ({ data }: { data: unknown[] }) => (data as SSEPresenceMessage[]).map(({ type }) => type)
const enter = (server: TestServer, id: string, data = '') => SSEReader.open(`${server.url}/room?id=${id}${data && `&data=${data}`}`)

describe.each(Object.keys(KINDS))('presence with `share: \'%s\'`', (kind) => {
  const open = async (url: string, options?: { channel?: string }) => (await KINDS[kind]!())(url, options)

  // @guarantee presence
  it('several calls are one connection and one member, and each has the list, also one that comes late', async () => {
    const server = await serveRoom()
    const watcher = await SSEReader.open(`${server.url}/room`)
    const url = `${server.url}/room?id=me`
    const calls = [await open(url), await open(url)]
    await eventually(() => expect(calls.map(idsOf)).toEqual([['me'], ['me']]))
    const ben = await enter(server, 'ben', '1')
    await eventually(() => expect(calls.map(idsOf)).toEqual([['ben', 'me'], ['ben', 'me']]))
    const benAgain = await enter(server, 'ben', '2')
    const late = await open(url)
    const all = [{ id: 'ben', data: '2' }, { id: 'me' }]
    calls.push(late)
    await eventually(() => expect(calls.map(listOf)).toEqual([all, all, all]))
    expect(late.messages[0]!.data).toMatchObject({ type: 'members' })
    expect(calls.map(({ state }) => [state.status, state.gap])).toEqual(Array.from({ length: 3 }).fill(['connected', undefined]))

    // From now on all three follow one feed: a change comes once to each.
    const before = calls.map(({ messages }) => messages.length)
    const cleo = await enter(server, 'cleo')
    await eventually(() => expect(calls.map(idsOf)).toEqual(Array.from({ length: 3 }).fill(['ben', 'cleo', 'me'])))
    expect(calls.map(({ messages }, index) => messages.slice(before[index]))).toEqual(Array.from({ length: 3 }).fill([expect.objectContaining({ data: { type: 'join', member: { id: 'cleo' } } })]))
    await eventually(() => expect(server.context.connections.size).toBe(5))
    expect(typesOf(watcher)).toEqual(['members', 'join', 'join', 'update', 'join'])
    for (const reader of [watcher, ben, benAgain, cleo]) reader.close()
  })

  // @guarantee presence
  it('when the call that has the connection stops, the others have the list, and no member sees a leave or a join', async () => {
    const server = await serveRoom({ leaveAfterMs: 5_000 })
    const watcher = await SSEReader.open(`${server.url}/room`)
    const url = `${server.url}/room?id=me`
    const calls = [await open(url), await open(url), await open(url)]
    await eventually(() => expect(calls.map(idsOf)).toEqual([['me'], ['me'], ['me']]))
    const readers: SSEReader[] = []
    for (const [step, id] of ['ben', 'cleo'].entries()) {
      calls.shift()!.stop()
      // Joins while the calls find a new leader, or have it already.
      readers.push(await enter(server, id))
      await eventually(() => expect(calls.map(idsOf)).toEqual(calls.map(() => ['ben', 'cleo'].slice(0, step + 1).concat('me'))))
      for (const { state } of calls) expect(state.gap).toBeUndefined()
    }
    expect(typesOf(watcher)).toEqual(['members', 'join', 'join', 'join'])
    // The last call of the member leaves for all.
    expect(await server.presence('room').count()).toBe(3)
    for (const reader of [watcher, ...readers]) reader.close()
  })

  it('a connection that is cut resumes: each call has each change once, and no list', async () => {
    const server = await serveRoom({ leaveAfterMs: 5_000 })
    const url = `${server.url}/room?id=me`
    const calls = [await open(url), await open(url)]
    await eventually(() => expect(calls.map(idsOf)).toEqual([['me'], ['me']]))
    const ben = await enter(server, 'ben')
    await eventually(() => expect(calls.map(idsOf)).toEqual([['ben', 'me'], ['ben', 'me']]))
    const before = calls.map(({ messages }) => messages.length)
    for (const connection of server.context.connections) connection.leave(0)
    await ben.finished
    const cleo = await enter(server, 'cleo')
    await eventually(() => expect(calls.map(idsOf)).toEqual([['ben', 'cleo', 'me'], ['ben', 'cleo', 'me']]))
    for (const [index, { messages }] of calls.entries()) expect(messages.slice(before[index]).map(({ data }) => (data as SSEPresenceMessage).type)).toEqual(['join'])
    cleo.close()
  })

  it('a list in parts, of which a late call gets all', async () => {
    const server = await serveRoom({ maxMessageBytes: 200 })
    const ids = Array.from({ length: 30 }, (_, index) => `member-${index}`).sort()
    const readers = await Promise.all(ids.map(id => enter(server, id)))
    await eventually(async () => expect(await server.presence('room').count()).toBe(30))
    const url = `${server.url}/room`
    const calls = [await open(url), await open(url)]
    await eventually(() => expect(calls.map(idsOf)).toEqual([ids, ids]))
    expect(calls[0]!.messages.length).toBeGreaterThan(2)
    calls.push(await open(url))
    await eventually(() => expect(calls.map(idsOf)).toEqual([ids, ids, ids]))
    for (const reader of readers) reader.close()
  })

  it('of several channels, a call for the presence and calls for the messages share one connection', async () => {
    const server = await serveRoom()
    const url = `${server.url}/live?id=me`
    const here = await open(url, { channel: 'here' })
    const room = await open(url, { channel: 'room' })
    await eventually(() => expect(idsOf(here)).toEqual(['me']))
    await eventually(() => expect(room.state.status).toBe('connected'))
    await server.channel('room').publish('hello')
    const late = await open(url, { channel: 'here' })
    const ben = await enter(server, 'ben')
    await eventually(() => expect([idsOf(here), idsOf(late), room.seen]).toEqual([['ben', 'me'], ['ben', 'me'], ['hello']]))
    await eventually(() => expect(server.context.connections.size).toBe(2))
    ben.close()
  })
})
