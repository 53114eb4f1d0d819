import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import type { Proxy } from '../../support/proxy'
import { startProxy } from '../../support/proxy'
import type { TestServer } from '../../support/sse-server'
import { NOTHING, startSSEServer } from '../../support/sse-server'

let server: TestServer | undefined
let proxy: Proxy | undefined

afterEach(async () => {
  await proxy?.close()
  await server?.close()
  vi.unstubAllGlobals()
})

type Act
  = | { type: 'publish', count: number }
    | { type: 'cut' }
    | { type: 'fall back' }
    | { type: 'come back' }
    | { type: 'cutAfter', bytes: number }
    | { type: 'settle' }

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ type: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ type: fc.constant('cut' as const) }),
  fc.record({ type: fc.constant('fall back' as const) }),
  fc.record({ type: fc.constant('come back' as const) }),
  fc.record({ type: fc.constant('cutAfter' as const), bytes: fc.integer({ min: 1, max: 1_500 }) }),
  fc.record({ type: fc.constant('settle' as const) }),
)

describe('our client and our server, with a network between them', () => {
  // @guarantee order-once, one-position, resume-position
  it('each message arrives once and in order, however the stream is cut, silenced or handed over', async () => {
    let handOvers = 0
    let cuts = 0
    const browser = new EventTarget()
    vi.stubGlobal('addEventListener', browser.addEventListener.bind(browser))
    await fc.assert(fc.asyncProperty(fc.array(act, { maxLength: 15 }), fc.integer({ min: 1, max: 200 }), async (acts, pieceBytes) => {
      server = await startSSEServer({ heartbeatMs: 20, retryMs: 1, pollWaitMs: 50 })
      server.route('/', () => server!.channel('c'))
      proxy = await startProxy(server.url)
      proxy.pieceBytes = pieceBytes
      const channel = server.channel<number>('c')
      let published = 0
      const seen: unknown[] = []
      const source = openSSE(proxy.url, { connectTimeoutMs: 30, silenceTimeoutMs: 60, reconnect: { minDelayMs: 1, maxDelayMs: 3 } })
      const read = (async () => {
        for await (const message of source) seen.push(message.data)
      })()
      const settle = async (on?: string, nudge?: () => void) => {
        proxy!.bytesUntilCut = Infinity
        await vi.waitFor(() => {
          if (source.transport !== on) nudge?.()
          expect([source.status, source.transport, seen.length]).toEqual(['connected', on ?? source.transport, published])
        }, { timeout: 20_000, interval: 5 })
      }
      for (const one of acts) {
        switch (one.type) {
          case 'publish':
            for (let n = 0; n < one.count; n++) await channel.publish(++published)
            break
          case 'cutAfter':
            proxy.bytesUntilCut = one.bytes
            break
          case 'settle':
            await settle()
            break
          case 'fall back':
            // A network that lets no event stream through: polling takes over, with what was published meanwhile.
            proxy.mute = true
            proxy.cut()
            await channel.publish(++published)
            await settle('poll')
            break
          case 'come back':
            proxy.mute = false
            await channel.publish(++published)
            if (source.transport === 'poll') handOvers++
            // A busy machine may take longer than the timeout of an attempt: the browser then requests it again.
            await settle('stream', () => browser.dispatchEvent(new Event('online')))
            break
          case 'cut':
            proxy.cut()
            cuts++
        }
      }
      proxy.mute = false
      proxy.bytesUntilCut = Infinity
      await channel.end()
      await read
      expect(seen).toEqual(Array.from({ length: published }, (_, index) => index + 1))
      expect(source.gap).toBeUndefined()
      await proxy.close()
      await server.close()
      expect(server.left()).toEqual(NOTHING)
    }), { numRuns: 200 })
    expect(cuts).toBeGreaterThan(50)
    expect(handOvers).toBeGreaterThan(10)
  }, 120_000)
})
