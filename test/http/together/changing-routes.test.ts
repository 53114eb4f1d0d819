import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { createSSEClient } from '../../../src/runtime/client/client'
import type { SSEClientEvents, SSEClientState } from '../../../src/runtime/client/types'
import type { ChannelSource } from '../../../src/runtime/server/channel/several'
import { createSharedClient } from '../../../src/runtime/client/sharing/shared-client'
import { openOldClient } from '../../fixtures/old-client/open-old-client.mjs'
import { resolveClientOptions } from '../../support/client-options'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import type { TestServer } from '../../support/sse-server'
import { NOTHING, startSSEServer } from '../../support/sse-server'

type Key = 'a' | 'b' | 'c'
interface Note { key: Key, n: number }
/** What a client has received, in order. */
type Step = Note | 'gap'

interface Client {
  steps: Step[]
  state(): string
  close(): Promise<void> | void
}

/** A plain `EventSource`: it reconnects with the last ID, and keeps nothing else. */
class Plain implements Client {
  readonly steps: Step[] = []
  #lastId?: string
  #isOver = false
  #reader?: SSEReader
  readonly #running: Promise<void>

  constructor(private readonly url: string) {
    this.#running = this.#run()
  }

  state = () => 'connected'

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const reader = this.#reader = await SSEReader.open(this.url, { headers: this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId } }).catch(() => undefined)
      if (!reader) continue
      // Any other status is the end of an `EventSource`.
      expect(reader.status).toBe(200)
      let taken = 0
      let over = false
      while (!over) {
        over = await reader.until(({ events }) => events.length > taken).then(() => false, () => true)
        for (const { id, event, data } of reader.events.slice(taken)) {
          this.#lastId = id ?? this.#lastId
          const value = JSON.parse(data)
          if (event !== 'sse') this.steps.push(value)
          else if (value.type === 'gap') this.steps.push('gap')
        }
        taken = reader.events.length
      }
    }
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#reader?.close()
    await this.#running
  }
}

const RECONNECT = { minDelayMs: 1, maxDelayMs: 2 }

/** A client of this build or of the one before, which keeps messages and gaps in order. */
function follow(open: (events: SSEClientEvents) => { state: SSEClientState, connect(): void, stop(): void }): Client {
  const steps: Step[] = []
  let gap: SSEClientState['gap']
  const client = open({
    onMessage: ({ data }) => void steps.push(data as Note),
    onState(change) {
      if (change.gap && change.gap !== gap) steps.push('gap')
      gap = change.gap ?? gap
    },
  })
  client.connect()
  return { steps, state: () => client.state.status, close: () => client.stop() }
}

const KINDS: Record<string, (url: string) => Client> = {
  'this build, by stream': url => follow(events => createSSEClient(url, resolveClientOptions({ transports: ['stream'], reconnect: RECONNECT }), events)),
  'this build, by poll': url => follow(events => createSSEClient(url, resolveClientOptions({ transports: ['poll'], reconnect: RECONNECT }), events)),
  'two calls that share': (url) => {
    const open = () => follow(events => createSharedClient(url, resolveClientOptions({ share: 'page', reconnect: RECONNECT } as never), events))
    const [one, other] = [open(), open()]
    return { ...one, close: () => [one, other].forEach(client => client.close()) }
  },
  'the build before, by stream': url => follow(events => openOldClient(url, { transports: ['stream'], reconnect: RECONNECT }, events)),
  'the build before, by poll': url => follow(events => openOldClient(url, { transports: ['poll'], reconnect: RECONNECT }, events)),
  'EventSource': url => new Plain(url),
}

let server: TestServer | undefined
afterEach(() => server?.close())

/** Channels of the route by their keys, in the order of the record. `d` and `e` are other names for two of them. */
const SHAPES = {
  one: { a: 'a' },
  two: { a: 'a', b: 'b' },
  three: { a: 'a', b: 'b', c: 'c' },
  turned: { b: 'b', a: 'a' },
  mixed: { c: 'c', a: 'a', b: 'b' },
  renamed: { d: 'b', a: 'a' },
  swapped: { a: 'a', c: 'b', b: 'c' },
} as const satisfies Record<string, Record<string, Key>>
type Shape = keyof typeof SHAPES
const SHAPE_NAMES = Object.keys(SHAPES) as Shape[]

type Act = { type: 'publish', key: Key, count: number } | { type: 'change', to: Shape } | { type: 'cut' | 'settle' }
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('publish' as const), key: fc.constantFrom<Key>('a', 'b', 'c'), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('change' as const), to: fc.constantFrom(...SHAPE_NAMES) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom('cut' as const, 'settle' as const) }) },
)

const settle = { type: 'settle' } as const
/** Each step from one shape to another, after messages were received. */
const through = (...shapes: Shape[]): Act[] => [settle, ...shapes.flatMap(to => [{ type: 'change', to }, settle] as const)]
const EXAMPLES: [Act[], Shape][] = [
  [through('two', 'three', 'two', 'one', 'three', 'one'), 'one'],
  [through('turned', 'renamed', 'two', 'mixed', 'swapped', 'three', 'one', 'swapped'), 'two'],
]

/** Within a channel that the route always has, each message follows the one before, unless a gap is between them. */
function checkOrder(steps: Step[], key: Key): void {
  let last: number | undefined
  for (const step of steps) {
    if (step === 'gap') last = undefined
    else if (step.key === key) {
      if (last !== undefined) expect(step.n).toBe(last + 1)
      last = step.n
    }
  }
}

/** Plays the acts under an open client, until a new message of each channel has arrived. Returns what the client received. */
async function play(kind: string, from: 'start' | 'now', acts: Act[], first: Shape): Promise<Step[]> {
  const { channel, channels, route, sockets, left, url, close } = server = await startSSEServer({ retryMs: 1, pollWaitMs: 30, from })
  const logs = { a: channel<Note>('a'), b: channel<Note>('b'), c: channel<Note>('c') }
  const published = { a: 0, b: 0, c: 0 }
  const publish = (key: Key) => logs[key].publish({ key, n: ++published[key] })
  let shape = first
  const source = (): ChannelSource => shape === 'one' ? logs.a : channels(Object.fromEntries(Object.entries(SHAPES[shape]).map(([key, log]) => [key, logs[log]])))
  route('/live', source)
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const client = KINDS[kind]!(`${url}/live`)
  /** A new message of every channel arrives. The first one may be published before the client is back. */
  async function settle(): Promise<void> {
    const before = { ...published }
    await eventually(async () => {
      for (const key of Object.values(SHAPES[shape])) {
        if (client.steps.some(step => step !== 'gap' && step.key === key && step.n > before[key])) continue
        if (published[key] < before[key] + 200) await publish(key)
        throw new Error(`Nothing new of ${key}`)
      }
      expect(client.state()).toBe('connected')
    }, 10_000)
  }
  for (const one of acts) {
    if (one.type === 'publish') for (let n = 0; n < one.count; n++) await publish(one.key)
    else if (one.type === 'settle') await settle()
    else {
      if (one.type === 'change') shape = one.to
      cut()
    }
  }
  await settle()
  await client.close()
  cut()
  await eventually(() => expect(left()).toEqual(NOTHING))
  await close()
  return client.steps
}

describe.each(Object.keys(KINDS))('a route whose channels change under an open client: %s', (kind) => {
  it.each(['start', 'now'] as const)('no client is stuck, and a gap announces what was lost or comes again (from: %s)', async (from) => {
    await fc.assert(fc.asyncProperty(fc.array(act, { maxLength: 12 }), fc.constantFrom(...SHAPE_NAMES), async (acts, first) => {
      const steps = await play(kind, from, acts, first)
      checkOrder(steps, 'a')
      // Between one channel and several, positions mean nothing to each other.
      if (acts === EXAMPLES[0]![0]) expect(steps.filter(step => step === 'gap').length).toBeGreaterThanOrEqual(4)
    }), { numRuns: 8, examples: EXAMPLES })
  })

  it.each(['start', 'now'] as const)('keys in another order continue where they were, without a gap (from: %s)', async (from) => {
    const steps = await play(kind, from, through('turned', 'two', 'turned'), 'two')
    expect(steps).not.toContain('gap')
    checkOrder(steps, 'a')
    checkOrder(steps, 'b')
    const more = await play(kind, from, through('mixed', 'three'), 'three')
    expect(more).not.toContain('gap')
    for (const key of ['a', 'b', 'c'] as const) checkOrder(more, key)
  })

  it('a key under another name is a new channel: it begins according to `from`, without a gap', async () => {
    const steps = await play(kind, 'start', through('renamed'), 'two')
    expect(steps).not.toContain('gap')
    checkOrder(steps, 'a')
    expect(steps.filter(step => step !== 'gap' && step.key === 'b' && step.n === 1)).toHaveLength(2)
  })
})
