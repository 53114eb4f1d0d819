import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createSharedClient } from '../../../src/runtime/client/sharing/shared-client'
import type { Channel } from '../../../src/runtime/server/channel/channel'
import { eventually } from '../../support/conditions'
import { useSSEServer } from '../../support/sse-server'
import { spyOnRequests } from './harness'
import { openTab, share, useSharers } from './sharer'

const server = useSSEServer({ retryMs: 1, pollWaitMs: 50 })
useSharers()

/** A route of the channels with these keys, which counts its streams. */
function route(...keys: string[]): { url: string, channels: Record<string, Channel<unknown>>, streams: () => number, offered: Set<string> } {
  const channels = Object.fromEntries(keys.map(key => [key, server.channel<unknown>(`${key}:${Math.random()}`)]))
  const offered = new Set(keys)
  let streams = 0
  server.route('/live', (event) => {
    if (!event.path.includes('transport=poll')) streams++
    return server.channels(Object.fromEntries(Object.entries(channels).filter(([key]) => offered.has(key))))
  })
  return { url: `${server.url}/live`, channels, streams: () => streams, offered }
}

const cut = () => {
  for (const socket of server.sockets) socket.destroy()
}

describe('calls for one channel each', () => {
  it.each(['page', 'browser'] as const)('with `share: %s`, two calls for different keys cost one connection, and each has its own messages, position, gap and end', async (scope) => {
    const { url, channels: { a, b }, streams } = route('a', 'b')
    await a!.publish(1)
    await b!.publish('x', { event: 'created' })
    const [one, two] = [share(url, { share: scope, channel: 'a' }), share(url, { share: scope, channel: 'b' })]
    await eventually(() => expect([one.seen, two.seen]).toEqual([[1], ['x']]))
    const epoch = (await b!.info()).epoch
    expect(two.messages).toEqual([{ channel: 'b', id: `b:${epoch}.1`, event: 'created', data: 'x' }])
    expect(two.state.position).toBe(`${epoch}.1`)
    expect([streams(), server.context.connections.size]).toEqual([1, 1])
    await b!.delete()
    await b!.publish('y')
    await eventually(() => expect(two.seen).toEqual(['x', 'y']))
    expect(two.state.gap).toMatchObject({ reason: 'epoch', channel: 'b' })
    expect(one.state.gap).toBeUndefined()
    await a!.end()
    await eventually(() => expect(one.state).toMatchObject({ status: 'closed', ended: true, error: undefined }))
    await b!.publish('z')
    await eventually(() => expect(two.seen).toEqual(['x', 'y', 'z']))
    expect(two.state).toMatchObject({ status: 'connected', ended: false })
    expect(streams()).toBe(1)
  })

  it('differ freely in `position`, and a late one catches up on its channel alone', async () => {
    const { url, channels: { a, b, c }, streams } = route('a', 'b', 'c')
    for (let n = 1; n <= 5; n++) for (const channel of [a, b, c]) await channel!.publish(n)
    const first = share(url, { channel: 'a', position: 'now' })
    await eventually(() => expect(first.state.channels).toBeDefined())
    const requests = spyOnRequests(url)
    const late = [
      share(url, { channel: 'a' }),
      share(url, { channel: 'b', position: '-2' }),
      share(url, { channel: 'c', position: 'now' }),
      share(url),
    ]
    await eventually(() => expect(late.map(one => one.seen.length)).toEqual([5, 2, 0, 15]))
    await c!.publish(6)
    await a!.publish(6)
    await eventually(() => expect(late.map(one => one.seen.at(-1))).toEqual([6, 5, 6, 6]))
    expect(first.seen).toEqual([6])
    expect(late[0]!.seen).toEqual([1, 2, 3, 4, 5, 6])
    expect(late[1]!.seen).toEqual([4, 5])
    for (const key of ['a', 'b', 'c']) expect(late[3]!.messages.filter(one => one.channel === key).map(one => one.data)).toEqual(key === 'b' ? [1, 2, 3, 4, 5] : [1, 2, 3, 4, 5, 6])
    expect(streams()).toBe(1)
    expect(requests()).toBeGreaterThan(0)
  })

  it('a catch-up asks for the end of all other channels', async () => {
    const { url, channels: { a, b } } = route('a', 'b')
    await a!.publish(1)
    await b!.publish(2)
    const first = share(url)
    await eventually(() => expect(first.seen).toHaveLength(2))
    const fetched = vi.spyOn(globalThis, 'fetch')
    onTestFinished(() => void fetched.mockRestore())
    const late = share(url, { channel: 'b', position: 'start' })
    await eventually(() => expect(late.seen).toEqual([2]))
    expect(fetched.mock.calls.map(([asked]) => new URL(String(asked)).searchParams.get('position'))).toEqual(['a:now,b:start'])
  })

  it('a channel that failed closes its call with the error, also a late one, and no other', async () => {
    const { url, channels: { a, b } } = route('a', 'b')
    const [one, two, both] = [share(url, { channel: 'a' }), share(url, { channel: 'b' }), share(url)]
    await a!.publish(1)
    await eventually(() => expect([one.seen, both.seen]).toEqual([[1], [1]]))
    await a!.fail(new Error('broken'))
    await eventually(() => expect(one.state).toMatchObject({ status: 'closed', ended: false, error: { code: 'SOURCE_FAILED', details: { channel: 'a' } } }))
    await eventually(() => expect(both.state).toMatchObject({ status: 'connected', error: { code: 'SOURCE_FAILED' } }))
    expect(two.state).toMatchObject({ status: 'connected', error: undefined })
    const late = share(url, { channel: 'a' })
    await eventually(() => expect(late.state).toMatchObject({ status: 'closed', error: { code: 'SOURCE_FAILED' } }))
    expect(late.seen).toEqual([1])
    await b!.publish(2)
    await eventually(() => expect(two.seen).toEqual([2]))
  })

  it('`UNKNOWN_CHANNEL` closes the call, and a later `open` that has the channel revives it', async () => {
    const { url, channels: { a, b }, offered, streams } = route('a', 'b')
    offered.delete('b')
    const [one, two] = [share(url, { channel: 'a' }), share(url, { channel: 'b' })]
    await eventually(() => expect(two.state).toMatchObject({ status: 'closed', error: { code: 'UNKNOWN_CHANNEL', retry: false } }))
    expect(one.state.status).toBe('connected')
    offered.add('b')
    await b!.publish(1)
    cut()
    await eventually(() => expect(two.state).toMatchObject({ status: 'connected', error: undefined }))
    await eventually(() => expect(two.seen).toEqual([1]))
    offered.delete('b')
    cut()
    await eventually(() => expect(two.state).toMatchObject({ status: 'closed', position: undefined, error: { code: 'UNKNOWN_CHANNEL' } }))
    await a!.publish(2)
    await eventually(() => expect(one.seen).toEqual([2]))
    expect(streams()).toBe(3)
    one.stop()
    await eventually(() => expect(server.left().connections).toBe(0))
  })

  it.each(['component', 'page'] as const)('after `UNKNOWN_CHANNEL`, connect() tries again, also where no other call keeps the connection (share: %s)', async (scope) => {
    const { url, channels: { b }, offered } = route('a', 'b')
    await b!.publish(1)
    offered.delete('b')
    const two = share(url, { channel: 'b', share: scope })
    for (const times of [1, 2]) {
      await eventually(() => expect(two.statuses.filter(status => status === 'closed')).toHaveLength(times))
      expect(two.state).toMatchObject({ status: 'closed', error: { code: 'UNKNOWN_CHANNEL' } })
      if (times === 2) offered.add('b')
      two.connect()
    }
    await eventually(() => expect(two.state).toMatchObject({ status: 'connected', error: undefined }))
    await eventually(() => expect(two.seen).toEqual([1]))
  })

  it('`UNKNOWN_CHANNEL` also on a route of one channel, whatever position is requested', async () => {
    server.route('/one', () => server.channel('one'))
    for (const position of [undefined, 'start', '-5', 'e1.7']) {
      const one = share(`${server.url}/one`, { channel: 'a', position, share: 'component' })
      await eventually(() => expect(one.state).toMatchObject({ status: 'closed', error: { code: 'UNKNOWN_CHANNEL' } }))
    }
    await eventually(() => expect(server.left().connections).toBe(0))
  })

  it('without `share`, a call has a connection of its own, and resumes', async () => {
    const { url, channels: { a, b }, streams } = route('a', 'b')
    const [one, two] = [share(url, { channel: 'a', share: 'component' }), share(url, { channel: 'b', share: 'component' })]
    await a!.publish(1)
    await eventually(() => expect([one.seen, two.state.status]).toEqual([[1], 'connected']))
    expect(streams()).toBe(2)
    cut()
    await a!.publish(2)
    await b!.publish(3)
    await eventually(() => expect([one.seen, two.seen]).toEqual([[1, 2], [3]]))
    one.stop()
    await a!.publish(4)
    one.connect()
    await eventually(() => expect(one.seen).toEqual([1, 2, 4]))
    one.stop()
    two.stop()
    await eventually(() => expect(server.left().connections).toBe(0))
  })

  it('a state with a position of its own, as from a server-rendered page, continues there', async () => {
    const { url, channels: { a, b } } = route('a', 'b')
    for (const n of [1, 2, 3]) for (const channel of [a, b]) await channel!.publish(n)
    const state = { status: 'idle' as const, error: undefined, transport: 'stream' as const, attempt: 0, ended: false, gap: undefined, peer: 'resumable' as const, channels: { a: false, b: false } }
    const one = share(url, { channel: 'a' }, { ...state, position: `${(await a!.info()).epoch}.2` }, createSharedClient)
    const two = share(url, { channel: 'b' }, { ...state, position: `${(await b!.info()).epoch}.1` }, createSharedClient)
    await eventually(() => expect([one.seen, two.seen]).toEqual([[3], [2, 3]]))
  })

  it('over tabs: one connection for eight calls, and a leader that leaves costs no call a message', async () => {
    const { url, channels: { a, b } } = route('a', 'b')
    const tabs = await Promise.all(Array.from({ length: 4 }, openTab))
    const calls = tabs.flatMap(open => [open(url, { channel: 'a' }), open(url, { channel: 'b' })])
    await eventually(() => expect(calls.map(one => one.state.status)).toEqual(Array.from({ length: 8 }).fill('connected')))
    expect(server.context.connections.size).toBe(1)
    let published = 0
    for (let tab = 0; tab < 4; tab++) {
      published++
      await a!.publish(published)
      await b!.publish(-published)
      const rest = calls.slice(tab * 2)
      await eventually(() => expect(rest.map(one => one.seen.length)).toEqual(rest.map(() => published)))
      if (tab < 3) for (const one of calls.slice(tab * 2, tab * 2 + 2)) one.stop()
    }
    expect(calls[6]!.seen).toEqual([1, 2, 3, 4])
    expect(calls[7]!.seen).toEqual([-1, -2, -3, -4])
  })
})
