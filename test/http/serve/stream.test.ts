import { appendCorsHeaders } from 'h3'
import { describe, expect, it } from 'vitest'
import { useSSEServer } from '../../support/sse-server'
import { SSEReader } from '../../support/read-sse'

const server = useSSEServer()

describe('the stream transport', () => {
  it.each(['/', '/?transport=poll&waitMs=0'])('keeps the `vary` values that are already there, such as those of CORS: %s', async (path) => {
    server.route('/', (event) => {
      appendCorsHeaders(event, { origin: ['https://a.example'] })
      return server.channel('c')
    })
    const response = await fetch(server.url + path, { headers: { origin: 'https://a.example' } })
    await response.body?.cancel()
    expect(response.headers.get('vary')).toBe('origin, accept, last-event-id')
    expect(response.headers.get('access-control-allow-origin')).toBe('https://a.example')
  })

  it('streams a generator: opening block, messages, end', async () => {
    server.route('/', async function* () {
      yield { n: 1 }
      yield { n: 2 }
    })
    const reader = await SSEReader.open(server.url)
    await reader.finished
    expect(reader.response.headers.get('content-type')).toBe('text/event-stream')
    expect(reader.response.headers.get('cache-control')).toBe('no-cache, no-transform')
    expect(reader.response.headers.get('x-accel-buffering')).toBe('no')
    expect(reader.response.headers.get('vary')).toBe('accept, last-event-id')
    expect(reader.controls).toEqual([{ type: 'open', heartbeatMs: 15_000, restarts: true }, { type: 'end' }])
    expect(reader.data).toEqual([{ n: 1 }, { n: 2 }])
    expect(reader.retryMs).toBeGreaterThanOrEqual(1_000)
    expect(reader.retryMs).toBeLessThanOrEqual(3_000)
  })

  it('streams a channel from its start, then live', async () => {
    const channel = server.channel<number>('c')
    await channel.publish(1)
    server.route('/', () => server.channel('c'))
    await using reader = await SSEReader.open(server.url)
    await reader.until(r => r.data.length === 1)
    const id = await channel.publish(2)
    await reader.until(r => r.data.length === 2)
    expect(reader.messages[1]!.id).toBe(id)
    await channel.end()
    await reader.finished
    expect(reader.controls.at(-1)).toEqual({ type: 'end' })
    const again = await SSEReader.open(server.url, { headers: { 'last-event-id': id } })
    expect(again.status).toBe(204)
    // A cache may store a 204 by default, and newcomers would then see an empty stream.
    expect(again.response.headers.get('cache-control')).toBe('no-store')
    expect(again.response.headers.get('vary')).toBe('accept, last-event-id')
  })
})
