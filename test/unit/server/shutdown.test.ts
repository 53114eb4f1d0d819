import { afterEach, describe, expect, it } from 'vitest'
import { SSEReader } from '../../support/read-sse'
import { startSSEServer } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'
import { failOnUnhandledRejections } from '../../support/unhandled'

failOnUnhandledRejections()

let server: TestServer
afterEach(() => server?.close())

describe('a shutdown', () => {
  it('refuses newcomers over either transport with Retry-After, while a request under way may still publish', async () => {
    server = await startSSEServer()
    server.route('/', () => server.channel('feed'))
    server.context.leave()
    for (const path of ['/', '/?transport=poll']) {
      const answer = await fetch(server.url + path)
      expect(answer.status).toBe(503)
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect(await answer.json()).toMatchObject({ type: 'pending', retryMs: expect.any(Number) })
    }
    expect((await fetch(`${server.url}/`, { method: 'HEAD' })).status).toBe(503)
    await server.channel('feed').publish(1)
  })

  it('spreads the reconnects over as long as their number needs', async () => {
    server = await startSSEServer({ retryMs: 1 })
    server.route('/', () => undefined)
    const readers = await Promise.all(Array.from({ length: 100 }, () => SSEReader.open(`${server.url}/`)))
    server.context.leave()
    await Promise.all(readers.map(reader => reader.finished))
    const waits = readers.map(reader => (reader.controls.at(-1) as unknown as { retryMs: number }).retryMs)
    expect(Math.max(...waits)).toBeGreaterThan(100)
    expect(Math.max(...waits)).toBeLessThanOrEqual(200)
    expect(new Set(waits).size).toBeGreaterThan(40)
  })

  it('lets a producer finish, and closes the driver behind it', async () => {
    server = await startSSEServer({ shutdownMs: 5_000 })
    const channel = server.channel<number>('job')
    const going = Promise.withResolvers<void>()
    const piped = channel.pipe((async function* () {
      yield 1
      await going.promise
      yield 2
    })())
    const closing = server.context.close()
    going.resolve()
    await piped
    await closing
  })

  it('waits for one that does not no longer than `shutdownMs`', async () => {
    server = await startSSEServer({ shutdownMs: 20 })
    void server.channel('job').pipe((async function* () {
      await new Promise(() => {})
      yield 1
    })()).catch(() => {})
    await server.context.close()
    expect(server.context.producers.size).toBe(1)
  })
})
