import { describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { eventually } from '../../support/conditions'
import { startNginx } from '../../support/nginx'
import { RawSocket } from '../../support/raw-http'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import { useSSEServers } from '../../support/sse-server'

const start = useSSEServers()
const { retention } = DEFAULT_HANDLER_OPTIONS

describe('32 channels with the longest keys and epochs', () => {
  it('are resumed by header and by query, also through an nginx that is configured as it comes', async () => {
    const driver = createMemoryDriver(retention)
    const server = await start({}, driver)
    const keys = Array.from({ length: 32 }, (_, index) => `k${index}`.padEnd(32, 'x'))
    // A log may begin with an epoch of any length that a position has.
    for (const [index, key] of keys.entries()) {
      await driver.lease!(key, { type: 'acquire', token: 't', leaseMs: 600_000, onLost: 'fail', epoch: `e${index}`.padEnd(64, 'z') }, retention)
      await driver.append(key, [{ data: '1' }, { data: '2' }], retention)
    }
    server.route('/live', () => server.channels(Object.fromEntries(keys.map(key => [key, server.channel(key)]))))
    const nginx = await startNginx(port => `server { listen 127.0.0.1:${port}; location / { proxy_pass ${server.url}; proxy_http_version 1.1; proxy_set_header Connection ""; } }`)
    try {
      for (const url of [server.url, nginx.url]) {
        const first = await SSEReader.open(`${url}/live?position=start`)
        await first.until(({ messages }) => messages.length === 64)
        await first.close()
        const position = first.position!
        expect(position).toHaveLength(32 * (32 + 1 + 64 + 2) + 31)
        for (const [query, headers] of [['', { 'last-event-id': position }], [`?position=${encodeURIComponent(position)}`, {}]] as const) {
          const reader = await SSEReader.open(`${url}/live${query}`, { headers })
          await reader.until(({ controls }) => controls.length > 0)
          expect(reader.controls).toMatchObject([{ type: 'open', position, resumed: true }])
          const batch = await (await fetch(`${url}/live?transport=poll&waitMs=0&${query.slice(1)}`, { headers })).json()
          expect([batch.messages, batch.position]).toEqual([[], position])
          await reader.close()
        }
      }
    }
    finally {
      await nginx.stop()
    }
  })
})

describe('back pressure', () => {
  // @guarantee bounded
  it('a client that does not read holds back all of its channels, costs no more than its socket and one page, and then gets all of it', async () => {
    const server = await start({ heartbeatMs: false })
    const [busy, quiet] = [server.channel<string>('busy', { retention: { maxMessages: 10_000 } }), server.channel<string>('quiet')]
    server.route('/live', () => server.channels({ busy, quiet }))
    const client = await RawSocket.get(server.url, '/live', 'Accept: text/event-stream;positions=own\r\n')
    client.socket.pause()
    await eventually(() => expect(server.left().connections).toBe(1))
    const [connection] = server.context.connections
    let published = 0
    const publish = async () => {
      await busy.publish(`${published++} ${'x'.repeat(30_000)}`)
      await quiet.publish('q')
    }
    while (connection!.hasRoom) {
      await publish()
      await turns(1)
    }
    const { bytes } = connection!.outbox
    for (let n = 0; n < 100; n++) await publish()
    await turns(3)
    expect(connection!.outbox.bytes).toBe(bytes)
    expect(connection!.outbox.bufferedBytes).toBeLessThan(200_000)
    client.socket.resume()
    const count = (name: string) => client.received.split(`event: ${name}\n`).length - 1
    await client.until(() => client.received.endsWith('\n\n') && count('busy') >= published && count('quiet') >= published)
    expect([count('busy'), count('quiet')]).toEqual([published, published])
    client.socket.destroy()
  })
})
