import { defineEventHandler, proxyRequest, toNodeListener } from 'h3'
import type { H3Event } from 'h3'
import { fetchNodeRequestHandler } from 'node-mock-http'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { eventually } from '../../support/conditions'
import { turns } from '../../support/random'
import { RawSocket } from '../../support/raw-http'
import { SSEReader } from '../../support/read-sse'
import { NOTHING, useSSEServer } from '../../support/sse-server'

// Both exist only in a Nitro server; the rules are tested there.
vi.mock('nitropack/runtime', () => ({ getRouteRules: () => ({}), useRuntimeConfig: () => ({ nitro: {} }) }))
const { whileConnected } = await import('../../../src/runtime/nitro2/proxied-streams')

const server = useSSEServer({ heartbeatMs: false })

type Fetch = Parameters<typeof whileConnected>[1]
const local: Fetch = (url, init) => fetchNodeRequestHandler(toNodeListener(server.app) as never, url, init as never) as unknown as Promise<Response>
const targets: [string, () => [string, Fetch]][] = [['this application', () => ['/api', local]], ['another server', () => [`${server.url}/api`, fetch]]]

describe.each(targets)('a proxy to %s', (_, target) => {
  beforeEach(() => {
    server.use('/alias', defineEventHandler((event: H3Event) => {
      const [url, fetchIt] = target()
      return proxyRequest(event, url, { fetch: whileConnected(event.node.res, fetchIt) as never })
    }))
  })

  it('hangs up at once when its client leaves', async () => {
    server.route('/api', () => server.channel('c'))
    await server.channel('c').publish(1)
    for (let visit = 0; visit < 5; visit++) {
      const reader = await SSEReader.open(`${server.url}/alias`)
      await reader.until(r => r.data.length === 1)
      expect(server.left().connections).toBe(1)
      await reader[Symbol.asyncDispose]()
      await eventually(() => expect(server.left()).toEqual(NOTHING), 5_000)
    }
  })

  it('carries a stream to its end', async () => {
    server.route('/api', () => [1, 2][Symbol.iterator]())
    await using reader = await SSEReader.open(`${server.url}/alias`)
    await reader.finished
    expect([reader.data, reader.controls.at(-1)]).toEqual([[1, 2], { type: 'end' }])
  })

  it('carries any other answer unchanged', async () => {
    server.route('/api', () => server.channel(''))
    const response = await fetch(`${server.url}/alias`)
    expect([response.status, await response.json()]).toMatchObject([400, { data: { code: 'INVALID_CHANNEL' } }])
  })

  it('reads no faster than its client', async () => {
    let pulled = 0
    server.route('/api', async function* () {
      while (true) yield `${++pulled}${'x'.repeat(100_000)}`
    })
    const socket = await RawSocket.get(server.url, '/alias')
    socket.socket.pause()
    let last = -1
    await eventually(async () => {
      const stood = pulled === last && pulled > 0
      last = pulled
      await turns(20)
      expect(stood).toBe(true)
    })
    expect(pulled).toBeLessThan(400)
    socket.destroy()
    await eventually(() => expect(server.left()).toEqual(NOTHING), 5_000)
  })
})
