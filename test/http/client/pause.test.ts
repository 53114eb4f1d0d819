import { afterEach, describe, expect, it } from 'vitest'
import { createSSEClient } from '../../../src/runtime/client/client'
import type { SSEClient } from '../../../src/runtime/client/types'
import { resolveClientOptions } from '../../support/client-options'
import type { SSEClientOptions, SSEMessage, SSEStatus } from '../../../src/runtime/client'
import { eventually } from '../../support/conditions'
import { message } from '../../support/scripted-server'
import { QUICK, data, useHarness } from './harness'

const harness = useHarness()
let client: SSEClient | undefined
afterEach(() => client?.stop())

function create(options: SSEClientOptions = {}): { client: SSEClient, messages: SSEMessage[], statuses: SSEStatus[] } {
  const messages: SSEMessage[] = []
  const statuses: SSEStatus[] = []
  client = createSSEClient(harness.server.url, resolveClientOptions({ ...QUICK, ...options }), {
    onMessage: one => void messages.push(one),
    onState: ({ status }) => void (status && statuses.push(status)),
  })
  return { client, messages, statuses }
}

describe('pause()', () => {
  it('closes nothing and keeps the position; connect() resumes', async () => {
    const { server } = harness
    server.script(x => x.open().write(message('a', 'e1.1')), x => x.open().write(message('b', 'e1.2')))
    const { client, messages, statuses } = create()
    client.connect()
    await eventually(() => expect(messages).toHaveLength(1))
    client.pause()
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
    expect(client.state).toMatchObject({ status: 'idle', position: 'e1.1', error: undefined })
    client.connect()
    await eventually(() => expect(data(messages)).toEqual(['a', 'b']))
    expect(server.exchanges.map(x => x.position)).toEqual([undefined, 'e1.1'])
    expect(statuses).toEqual(['connecting', 'connected', 'idle', 'connecting', 'connected'])
  })

  it('during a wait ends the wait', async () => {
    const { server } = harness
    server.script(x => x.status(503, '', { 'retry-after': '60' }), x => x.open().write(message('a', 'e1.1')))
    const { client, messages } = create()
    client.connect()
    await eventually(() => expect(client.state.status).toBe('reconnecting'))
    client.pause()
    expect(client.state).toMatchObject({ status: 'idle', error: undefined })
    client.connect()
    await eventually(() => expect(messages).toHaveLength(1))
  })

  // @guarantee complete-not-dropped
  it('does not cut a request that cannot be repeated', async () => {
    const { server } = harness
    server.script(x => x.open().write(message('a')))
    const { client, messages } = create({ method: 'POST' })
    client.connect()
    await eventually(() => expect(messages).toHaveLength(1))
    client.pause()
    expect(client.state.status).toBe('connected')
    server.exchanges[0]!.write(message('b'))
    await eventually(() => expect(data(messages)).toEqual(['a', 'b']))
  })

  it('stop() closes a paused source, and nothing else reopens it', async () => {
    const { server } = harness
    server.script(x => x.open())
    const { client, statuses } = create()
    client.connect()
    await eventually(() => expect(client.state.status).toBe('connected'))
    client.pause()
    client.stop()
    client.pause()
    expect(statuses.slice(-2)).toEqual(['idle', 'closed'])
  })
})
