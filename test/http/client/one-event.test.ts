import { afterEach, describe, expect, it } from 'vitest'
import { createSSEClient } from '../../../src/runtime/client/client'
import { createSharedClient } from '../../../src/runtime/client/sharing/shared-client'
import type { SSEClient, SSEClientOptions, SSEShare } from '../../../src/runtime/client/types'
import { resolveClientOptions } from '../../support/client-options'
import { eventually } from '../../support/conditions'
import { message } from '../../support/scripted-server'
import { QUICK, useHarness } from './harness'

const harness = useHarness()
const clients: SSEClient[] = []
afterEach(() => {
  for (const client of clients.splice(0)) client.stop()
})

/** A client and all that it reports: `+` and the fields of a change, or a message with its position and the state's. */
function follow(create: typeof createSSEClient, options: SSEClientOptions & { share?: SSEShare } = {}): { client: SSEClient, log: string[] } {
  const log: string[] = []
  const client = create(harness.server.url, resolveClientOptions({ ...QUICK, ...options }), {
    onMessage: ({ data }, { position }) => void log.push(`${data} ${position} ${client.state.position} ${client.state.attempt}`),
    onState: change => void log.push(`+${Object.keys(change).filter(name => name === 'position' || name === 'attempt' || name === 'had').join()}`),
  })
  clients.push(client)
  client.connect()
  return { client, log }
}

const three = message('a', 'e1.1') + message('b', 'e1.2') + message('c')

describe('a message is one event', () => {
  it.each([
    ['of a stream', createSSEClient, { transports: ['stream' as const] }],
    ['of a poll', createSSEClient, { transports: ['poll' as const] }],
    ['of a group', createSharedClient, { share: 'page' as const }],
  ])('%s: it comes with its position, in a state that has changed already, and no other change is reported', async (_, create, options) => {
    harness.server.script(
      x => x.status(503, '', { 'retry-after': '0' }),
      x => x.isPoll
        ? x.batch([{ id: 'e1.1', data: 'a' }, { id: 'e1.2', data: 'b' }, { data: 'c' }], { position: 'e1.2' })
        : x.open({ position: 'e1.0' }).write(three),
      () => {},
    )
    const { log } = follow(create, options)
    await eventually(() => expect(log).toContain('c e1.2 e1.2 0'))
    const first = log.findIndex(one => one.startsWith('a'))
    expect(log.slice(first, first + 3)).toEqual(['a e1.1 e1.1 0', 'b e1.2 e1.2 0', 'c e1.2 e1.2 0'])
  })

  it('a member that catches up by itself receives its messages in the same way, until it has met the others', async () => {
    const { server } = harness
    server.script(
      x => x.open({ position: 'e1.0' }).write(message('a', 'e1.1') + message('b', 'e1.2')),
      x => x.batch([{ id: 'e1.1', data: 'a' }, { id: 'e1.2', data: 'b' }], { position: 'e1.2' }),
    )
    const one = follow(createSharedClient, { share: 'page', position: 'e1.0' })
    await eventually(() => expect(one.log).toContain('b e1.2 e1.2 0'))
    const late = follow(createSharedClient, { share: 'page', position: 'e1.0' })
    await eventually(() => expect(late.log).toContain('b e1.2 e1.2 0'))
    server.exchanges[0]!.write(message('c', 'e1.3'))
    await eventually(() => expect([one.log.at(-1), late.log.at(-1)]).toEqual(['c e1.3 e1.3 0', 'c e1.3 e1.3 0']))
    for (const { log } of [one, late]) expect(log.filter(entry => entry[0] !== '+')).toEqual(['a e1.1 e1.1 0', 'b e1.2 e1.2 0', 'c e1.3 e1.3 0'])
    const at = late.log.findIndex(entry => entry[0] === 'a')
    expect(late.log[at + 1]).toBe('b e1.2 e1.2 0')
  })
})
