import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createSharedClient } from '../../../src/runtime/client/sharing/shared-client'
import { createSSEClient } from '../../../src/runtime/client/client'
import type { SSEGap, SSEMessage } from '../../../src/runtime/client'
import type { SSEClientState } from '../../../src/runtime/client/types'
import type { Channel } from '../../../src/runtime/server/channel/channel'
import { resolveClientOptions } from '../../support/client-options'
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

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

type Act
  = | { type: 'publish', key: number, count: number }
    | { type: 'delete' | 'end', key: number }
    | { type: 'cut' | 'fall back' | 'come back' | 'settle' }
    | { type: 'cutAfter', bytes: number }

const key = fc.integer({ min: 0, max: KEYS.length - 1 })
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant('publish' as const), key, count: fc.integer({ min: 1, max: 7 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('delete' as const, 'end' as const), key }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom('cut' as const, 'fall back' as const, 'come back' as const, 'settle' as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('cutAfter' as const), bytes: fc.integer({ min: 1, max: 2_500 }) }) },
)

/** What one reader has received: messages and gaps, in order. */
type Step = { gap: SSEGap } | { message: SSEMessage<number> }

/**
 * Checks one channel of a reader: within an epoch, offsets rise by one, from the position of the gap before. Only a gap of this channel
 * leads to another offset or epoch.
 */
function checkChannel(steps: Step[], key: string, from: string): string {
  let at = from
  for (const step of steps) {
    if ('gap' in step) {
      if (step.gap.channel === key) at = step.gap.position!
      continue
    }
    const { id, channel } = step.message
    if (channel !== key) continue
    const [epoch, offset] = at.split('.')
    expect(id).toBe(`${key}:${epoch}.${+offset! + 1}`)
    at = id!.slice(key.length + 1)
  }
  return at
}

interface Reader {
  steps: Step[]
  /** Key, with the option `channel`. */
  key?: string
  state(): { status: string, position: string | undefined, transport: string }
  close(): void
}

describe('our client and our server with several channels, and a network between them', () => {
  it.each(['alone', 'shared'] as const)('each channel arrives once and in order, or a gap names it, however the connection is cut, silenced or handed over, and channels are trimmed, deleted and ended: %s', async (kind) => {
    let gaps = 0
    let cuts = 0
    let polls = 0
    const browser = new EventTarget()
    vi.stubGlobal('addEventListener', browser.addEventListener.bind(browser))
    await fc.assert(fc.asyncProperty(fc.array(act, { maxLength: 14 }), fc.integer({ min: 1, max: KEYS.length }), fc.integer({ min: 1, max: 200 }), async (acts, count, pieceBytes) => {
      server = await startSSEServer({ heartbeatMs: 20, retryMs: 1, pollWaitMs: 50 })
      const keys = KEYS.slice(0, count)
      const channels = Object.fromEntries(keys.map(key => [key, server!.channel<number>(`c:${key}`, { retention: { maxMessages: 10 } })])) as Record<string, Channel<number>>
      server.route('/', () => server!.channels(channels))
      proxy = await startProxy(server.url)
      proxy.pieceBytes = pieceBytes
      const first = Object.fromEntries(await Promise.all(keys.map(async key => [key, `${(await channels[key]!.info()).epoch}.0`] as const)))
      const options = { connectTimeoutMs: 30, silenceTimeoutMs: 60, reconnect: { minDelayMs: 1, maxDelayMs: 3 }, position: keys.map(key => `${key}:${first[key]}`).join() }

      function openAlone(): Reader {
        const steps: Step[] = []
        let gap: SSEGap | undefined
        const client = createSSEClient(proxy!.url, resolveClientOptions(options), {
          onMessage: message => void steps.push({ message: message as SSEMessage<number> }),
          onState(change) {
            if (change.gap && change.gap !== gap) steps.push({ gap: gap = change.gap })
          },
        })
        client.connect()
        return { steps, state: () => client.state, close: () => client.stop() }
      }
      function openShared(key?: string): Reader {
        const steps: Step[] = []
        let gap: SSEGap | undefined
        const client = createSharedClient(proxy!.url, resolveClientOptions({ ...options, ...key !== undefined && { channel: key, position: first[key] }, share: 'page' } as never), {
          onMessage: message => void steps.push({ message: message as SSEMessage<number> }),
          onState(change) {
            if (change.gap && change.gap !== gap) steps.push({ gap: gap = change.gap })
          },
        })
        client.connect()
        return { steps, key, state: () => client.state, close: () => client.stop() }
      }
      const readers = kind === 'alone' ? [openAlone()] : [...keys.map(openShared), openShared()]
      const over = new Set<string>()
      const settle = async (on?: string, nudge?: () => void) => {
        proxy!.bytesUntilCut = Infinity
        const ends = Object.fromEntries(await Promise.all(keys.map(async key => [key, (await channels[key]!.info()).position] as const)))
        await vi.waitFor(() => {
          for (const { key, state } of readers) {
            if (state().status === 'closed') continue
            if (on && state().transport !== on) nudge?.()
            const at = key === undefined ? keys.map(one => `${one}:${ends[one]}`).join() : ends[key]
            expect([state().status, state().position, on && state().transport]).toEqual(['connected', at, on])
          }
        }, { timeout: 20_000, interval: 5 })
      }
      for (const one of acts) {
        const name = 'key' in one ? keys[one.key % count]! : ''
        switch (one.type) {
          case 'publish':
            if (!over.has(name)) for (let n = 0; n < one.count; n++) await channels[name]!.publish(n)
            break
          case 'delete':
            await channels[name]!.delete()
            // Its end may have been told, and then only the next connection finds it again.
            if (over.delete(name)) proxy.cut()
            break
          case 'end':
            // At least one goes on, so that the readers do.
            if (over.size < count - 1 && !over.has(name)) await channels[name]!.end().then(() => over.add(name))
            break
          case 'cutAfter':
            proxy.bytesUntilCut = one.bytes
            break
          case 'cut':
            proxy.cut()
            cuts++
            break
          case 'fall back':
            proxy.mute = true
            proxy.cut()
            polls++
            break
          case 'come back':
            proxy.mute = false
            browser.dispatchEvent(new Event('online'))
            break
          case 'settle':
            await settle()
        }
      }
      proxy.mute = false
      proxy.bytesUntilCut = Infinity
      browser.dispatchEvent(new Event('online'))
      await settle()
      for (const { steps, key } of readers) {
        gaps += steps.filter(step => 'gap' in step).length
        for (const one of key === undefined ? keys : [key]) {
          const at = checkChannel(steps, one, first[one]!)
          // A call for one channel is closed at its end, and does not see it deleted.
          if (key === undefined) expect(at).toBe((await channels[one]!.info()).position)
        }
        if (key !== undefined) for (const step of steps) expect('gap' in step ? step.gap.channel : step.message.channel).toBe(key)
      }
      for (const reader of readers) reader.close()
      await proxy.close()
      await vi.waitFor(() => expect(server!.left()).toEqual(NOTHING), { timeout: 20_000, interval: 5 })
      await server.close()
    }), { numRuns: kind === 'alone' ? 150 : 60 })
    expect([cuts > 5, gaps > 5, polls > 5]).toEqual([true, true, true])
  }, 240_000)

  it('a call that meets a connection which has not opened yet continues with its channel', async () => {
    server = await startSSEServer()
    const channels = { a: server.channel<number>('a'), b: server.channel<number>('b') }
    server.route('/', () => server!.channels(channels))
    proxy = await startProxy(server.url)
    const requested = await Promise.all(Object.entries(channels).map(async ([key, channel]) => `${key}:${(await channel.info()).epoch}.0`))
    const statuses: string[] = []
    const open = (options: object, onState = (_: Partial<SSEClientState>) => {}) => createSharedClient(proxy!.url, resolveClientOptions({ ...options, share: 'page' } as never), { onMessage: () => {}, onState })
    const own = open({ channel: 'b' }, ({ status, error }) => statuses.push(error?.code ?? status!))
    own.connect()
    await vi.waitFor(() => expect(own.state.status).toBe('connected'), { timeout: 20_000 })
    await channels.b.publish(1)
    await vi.waitFor(async () => expect(own.state.position).toBe((await channels.b.info()).position), { timeout: 20_000 })
    own.stop()
    statuses.length = 0
    // From now on, streams are silent, and polls are answered.
    proxy.mute = true
    const whole = open({ position: requested.join() })
    whole.connect()
    await vi.waitFor(() => expect(server!.left().connections).toBe(1), { timeout: 20_000 })
    own.connect()
    await channels.b.publish(2)
    await vi.waitFor(async () => expect(own.state.position).toBe((await channels.b.info()).position), { timeout: 20_000 })
    expect(new Set(statuses.filter(Boolean))).toEqual(new Set(['connecting', 'connected']))
    for (const client of [own, whole]) client.stop()
  })
})
