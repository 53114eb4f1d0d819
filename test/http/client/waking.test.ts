import { afterEach, beforeEach, expect, it } from 'vitest'
import { createSSEClient } from '../../../src/runtime/client/client'
import type { SSEClient, SSEClientOptions } from '../../../src/runtime/client/types'
import type { SSEMessage } from '../../../src/runtime/client'
import { resolveClientOptions } from '../../support/client-options'
import { eventually } from '../../support/conditions'
import { useMovingClock } from '../../support/moving-clock'
import type { Step } from '../../support/scripted-server'
import { message } from '../../support/scripted-server'
import { QUICK, useHarness } from './harness'
import { Page } from './model/page'

const clock = useMovingClock()
const harness = useHarness()
let page: Page
let client: SSEClient
let statuses: string[]
const messages: SSEMessage[] = []

beforeEach(() => {
  page = new Page()
  page.install()
  messages.length = 0
  statuses = []
})
afterEach(() => client.stop())

const streams = () => harness.server.exchanges.filter(x => !x.isPoll)
const polls = () => harness.server.exchanges.filter(x => x.isPoll)
const wake = () => page.dispatch('visibilitychange', 'pageshow')

/** Connected, with one message; the socket of the first stream is dead from then on, as after a locked screen. */
async function connected(onPoll: Step, options: SSEClientOptions = {}, fields: object = { position: 'e1.0' }): Promise<void> {
  harness.server.script(x => x.isPoll ? onPoll(x) : streams().length === 1 ? x.open({ ...fields, heartbeatMs: 15_000 }).write(message(1, 'e1.1')) : x.open({ position: x.position, resumed: true }).write(message(2, 'e1.2')))
  client = createSSEClient(harness.server.url, resolveClientOptions({ ...QUICK, ...options }), { onMessage: one => void messages.push(one), onState: ({ status }) => void (status && statuses.push(status)) })
  client.connect()
  await eventually(() => expect(messages).toHaveLength(1))
}

/** Resolves when a poll has been answered, and gives the client real time to read it before the clock moves. */
async function answered(count: number): Promise<void> {
  await eventually(() => expect(polls().map(poll => poll.closed)).toEqual(Array.from({ length: count }).fill(true)))
  for (let n = 0; n < 20; n++) await clock.move(1)
}

it('a message that a dead stream has missed is there at once when the page wakes', async () => {
  await connected(x => x.batch([{ id: 'e1.2', data: 2 }]))
  wake()
  await clock.until(() => expect(messages.map(({ id }) => id)).toEqual(['e1.1', 'e1.2']))
  expect(polls().map(x => [x.position, x.query.waitMs])).toEqual([['e1.1', '0']])
  expect(streams().map(x => x.position)).toEqual([undefined, 'e1.1'])
  expect(statuses).toEqual(['connecting', 'connected', 'reconnecting', 'connected'])
  expect(client.state.error).toBeUndefined()
})

it('a missed message is there also where the network does not answer within two seconds', async () => {
  await connected(() => {})
  wake()
  await eventually(() => expect(polls()).toHaveLength(1))
  // Real time counts, too.
  await clock.move(500)
  expect(streams()).toHaveLength(1)
  await clock.until(() => expect(messages).toHaveLength(2))
})

it('a stream that has missed nothing stays, and is checked once in ten seconds', async () => {
  await connected(x => x.batch([], { position: 'e1.1' }))
  for (let n = 0; n < 5; n++) wake()
  await answered(1)
  await clock.move(5_000)
  wake()
  await clock.move(5_000)
  expect([polls().length, streams().length, client.state.status]).toEqual([1, 1, 'connected'])
  wake()
  await eventually(() => expect(polls()).toHaveLength(2))
  expect(streams()).toHaveLength(1)
})

it('a stream that is only later than the poll stays', async () => {
  await connected((x) => {
    x.batch([{ id: 'e1.2', data: 2 }])
    streams()[0]!.write(message(2, 'e1.2'))
  })
  wake()
  await eventually(() => expect(messages).toHaveLength(2))
  await answered(1)
  await clock.move(3_000)
  expect([messages.length, streams().length, client.state.status]).toEqual([2, 1, 'connected'])
})

it('an error in the answer to the poll is no judgement of the stream', async () => {
  await connected(x => x.status(503, { type: 'pending', message: 'away', retryMs: 1 }))
  wake()
  await answered(1)
  await clock.move(3_000)
  expect([streams().length, client.state.status]).toEqual([1, 'connected'])
})

it.each<[string, SSEClientOptions, object]>([
  ['a source without positions', {}, { restarts: true }],
  ['a call that may not poll', { transports: ['stream'] }, { position: 'e1.0' }],
])('%s is not checked', async (_, options, fields) => {
  await connected(x => x.batch([]), options, fields)
  wake()
  await clock.move(3_000)
  expect([polls().length, client.state.status]).toEqual([0, 'connected'])
})
