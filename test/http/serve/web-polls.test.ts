import { beforeEach, expect, it, vi } from 'vitest'
import { sendDisconnect } from '../../../src/runtime/server/channel/send-disconnect'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { FailingDriver } from '../../../src/runtime/test'
import { createFailingDriver } from '../../../src/runtime/test'
import { eventually } from '../../support/conditions'
import { useSSEServer } from '../../support/sse-server'

/** Polls where the runtime does not report that a response was taken: Workers, Bun and Deno. */
vi.mock('#sse/node-response', () => import('../../../src/runtime/nitro2/no-node-response'))

let driver: FailingDriver
const server = useSSEServer({}, { driver: () => driver = createFailingDriver(createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)) })
beforeEach(() => server.route('/feed', () => server.channel('feed'), { clientKey: () => 'a' }))
const poll = (query = '') => fetch(`${server.url}/feed?transport=poll${query}`)

it('one that fails is answered with its error, and not with 204, which would mean that the channel is complete', async () => {
  driver.fail('read')
  expect((await poll()).status).toBe(503)
  driver.heal()
  expect((await poll('&waitMs=0')).status).toBe(200)
})

it('one whose wait fails is answered with its error', async () => {
  const waiting = poll()
  await eventually(() => expect(server.left().channels).toBe(1))
  await sendDisconnect(server.context, 'a')
  const answer = await waiting
  expect([answer.status, await answer.json()]).toEqual([401, expect.objectContaining({ data: { code: 'DISCONNECTED' } })])
})
