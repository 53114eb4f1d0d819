import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SSEMessage } from '../../../src/runtime/client'
import type { SSEClientState } from '../../../src/runtime/client/types'
import type { Channel } from '../../../src/runtime/server/channel/channel'
import { openOldClient } from '../../fixtures/old-client/open-old-client.mjs'
import { eventually } from '../../support/conditions'
import type { TestServer } from '../../support/sse-server'
import { startSSEServer } from '../../support/sse-server'

/** Limits of clients of a build before several channels, as `docs/project/upgrade.md` lists them. */

let server: TestServer
let feed: Channel<number>
let notices: Channel<number>
const closing: (() => void)[] = []

beforeEach(async () => {
  server = await startSSEServer({ retryMs: 1, pollWaitMs: 30, from: 'start' })
  feed = server.channel('feed', { retention: { maxMessages: 3 } })
  notices = server.channel('notices')
  server.route('/live', () => server.channels({ feed, notices }))
})

afterEach(async () => {
  for (const close of closing.splice(0)) close()
  await server.close()
})

function openOld(transport: 'stream' | 'poll') {
  const messages: SSEMessage[] = []
  const changes: Partial<SSEClientState>[] = []
  const client = openOldClient(`${server.url}/live`, { transports: [transport], reconnect: { minDelayMs: 1, maxDelayMs: 2 } }, {
    onMessage: message => void messages.push(message),
    onState: change => void changes.push(change),
  })
  client.connect()
  closing.push(() => client.stop())
  return { client, messages, changes, data: () => messages.map(({ data }) => data) }
}

describe('a client of a build before several channels, on a route of several', () => {
  it.each(['stream', 'poll'] as const)('receives the messages of all channels as those of one (%s)', async (transport) => {
    const { messages } = openOld(transport)
    await feed.publish(1)
    await notices.publish(2, { event: 'created' })
    await eventually(() => expect(messages).toHaveLength(2))
    const of = (data: number) => messages.find(message => message.data === data)!
    // By stream, the event begins with the key, so that `on('created')` of the page is not called.
    expect([of(1).event, of(2).event]).toEqual(transport === 'stream' ? ['feed', 'notices/created'] : [undefined, 'created'])
  })

  it('by stream, takes the end of one channel for the end of all', async () => {
    const { client, data } = openOld('stream')
    await feed.publish(1)
    await eventually(() => expect(data()).toEqual([1]))
    await feed.end()
    await eventually(() => expect(client.state).toMatchObject({ status: 'closed', ended: true }))
    // The next page of that build meets the end right after its beginning.
    const next = openOld('stream')
    await eventually(() => expect(next.client.state).toMatchObject({ status: 'closed', ended: true }))
  })

  it('by stream, closes with the error of one channel that has failed', async () => {
    const { client } = openOld('stream')
    await eventually(() => expect(client.state.status).toBe('connected'))
    await feed.fail(Object.assign(new Error('Broken'), { code: 'BROKEN' }))
    await eventually(() => expect(client.state).toMatchObject({ status: 'closed', ended: false }))
  })

  it('by poll, continues when one channel ends or fails, shows neither, and closes when all have ended', async () => {
    const { client, data, changes } = openOld('poll')
    await feed.publish(1)
    await eventually(() => expect(data()).toEqual([1]))
    await feed.fail(new Error('Broken'))
    await notices.publish(2)
    await eventually(() => expect(data()).toEqual([1, 2]))
    expect(client.state.status).toBe('connected')
    expect(changes.filter(({ error }) => error)).toEqual([])
    await notices.end()
    await eventually(() => expect(client.state).toMatchObject({ status: 'closed', ended: true, error: undefined }))
  })

  it.each(['stream', 'poll'] as const)('reports messages that one channel has lost by stream, and not by poll (%s)', async (transport) => {
    const { client, data, changes } = openOld(transport)
    await feed.publish(1)
    await eventually(() => expect(data()).toEqual([1]))
    client.pause()
    for (let n = 2; n <= 9; n++) await feed.publish(n)
    client.connect()
    await eventually(() => expect(data()).toEqual([1, 7, 8, 9]))
    expect(changes.flatMap(({ gap }) => gap?.reason ?? [])).toEqual(transport === 'stream' ? ['trimmed'] : [])
  })
})
