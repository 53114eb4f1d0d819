import fc from 'fast-check'
import { defineEventHandler } from 'h3'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createSSEClient } from '../../../src/runtime/client/client'
import { loadState } from '../../../src/runtime/client/read-state'
import type { SSEClient } from '../../../src/runtime/client/types'
import type { SSESnapshot } from '../../../src/runtime/shared/types'
import { resolveClientOptions } from '../../support/client-options'
import type { Follower } from '../../support/follower'
import { follow } from '../../support/follower'
import type { Proxy } from '../../support/proxy'
import { startProxy } from '../../support/proxy'
import { createRandom, turns } from '../../support/random'
import type { TestServer } from '../../support/sse-server'
import { NOTHING, startSSEServer } from '../../support/sse-server'
import { VirtualClock, settled } from '../../support/virtual-clock'
import { inProcessFetch } from '../client/model/in-process'
import { ModelServer } from '../client/model/server'

let server: TestServer | undefined
let proxy: Proxy | undefined

afterEach(async () => {
  await proxy?.close()
  await server?.close()
  proxy = server = undefined
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

/** A change of one row. `text` is missing if the row was deleted. */
interface Change { row: number, version: number, text?: string }
type Rows = Record<number, { version: number, text: string }>
/** State as a route loads it: the rows, and the version of each, also of those that were deleted. */
interface Loaded { rows: Rows, versions: Record<number, number> }

/** Applies a change as applications do: by the ID of the row, whatever was there. */
function apply({ rows, versions }: Loaded, { row, version, text }: Change): Loaded {
  const { [row]: _, ...others } = rows
  return { rows: text === undefined ? others : { ...others, [row]: { version, text } }, versions: { ...versions, [row]: version } }
}

/** The table of the database. Each row has one writer, which publishes after it has committed. */
class Table {
  state: Loaded = { rows: {}, versions: {} }

  commit(row: number, remove: boolean): Change {
    const version = (this.state.versions[row] ?? 0) + 1
    const change = remove ? { row, version } : { row, version, text: `row ${row}, version ${version}` }
    this.state = apply(this.state, change)
    return change
  }
}

/** Violations and counts of all followers. */
interface Witness { echoes: number, loads: number, violations: string[] }

/** A follower that checks each change against the state that it is applied to. `channel`: on a route of several, the one that it follows. */
function witnessed(url: string, listUrl: string, witness: Witness, kind: Kind, rendered?: SSESnapshot<Loaded>, channel?: string): Follower<Loaded> {
  /** Version of each row in the last loaded state. */
  let loaded = rendered?.data.versions ?? {}
  return follow<Loaded>(url, {
    initial: { rows: {}, versions: {} },
    connectTimeoutMs: 30,
    silenceTimeoutMs: 60,
    transports: kind === 'poll' ? ['poll'] : ['stream', 'poll'],
    reconnect: { minDelayMs: 1, maxDelayMs: 3 },
    share: kind === 'shared' ? 'page' : undefined,
    channel,
    rendered,
    load: async (signal) => {
      witness.loads++
      const response = await fetch(listUrl, { signal })
      return await response.json() as SSESnapshot<Loaded>
    },
    onLoad: (state) => {
      loaded = state.versions
    },
    reduce: (state, message) => {
      const change = message.data as Change
      const { row, version } = change
      if (message.channel !== channel) witness.violations.push(`a message of ${message.channel}`)
      const has = state.versions[row] ?? 0
      if (version <= has) {
        // It was in the state that was loaded: published after the position was read, committed before the table was.
        if (version <= (loaded[row] ?? 0)) witness.echoes++
        else witness.violations.push(`version ${version} of row ${row} after version ${has}`)
      }
      else if (version !== has + 1 && has >= (loaded[row] ?? 0)) {
        witness.violations.push(`version ${version} of row ${row} right after version ${has}`)
      }
      return apply(state, change)
    },
  })
}

type Kind = 'alone' | 'shared' | 'rendered' | 'poll'

/** A client that misses more than is kept, and then a log that is lost, whatever the random runs do. */
function lossesOf<K extends string>(key: K) {
  const write = (row: number) => ({ type: 'write' as const, key, row, remove: false, lag: 0 })
  const settle = { type: 'settle' as const, key }
  return [settle, { type: 'mute' as const, key }, ...[0, 1, 2, 3, 4, 0, 1, 2, 3, 4].map(write), settle, { type: 'delete' as const, key }, write(0), settle]
}

type Act
  = | { type: 'write', row: number, remove: boolean, lag: number }
    | { type: 'join', kind: Kind }
    | { type: 'cut' | 'cutAfter' | 'restart' | 'delete' | 'mute' | 'unmute' | 'settle' | 'reconnect' | 'stop' }

const write = fc.record({ type: fc.constant('write' as const), row: fc.nat(4), remove: fc.boolean(), lag: fc.nat(2) })
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 10, arbitrary: write },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('join' as const), kind: fc.constantFrom('alone', 'shared', 'rendered', 'poll') }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constantFrom('cut', 'cutAfter', 'restart', 'delete', 'mute', 'unmute', 'settle', 'settle', 'reconnect', 'stop') }) },
)

describe('a state and its changes, over the real client and server', () => {
  it('when all is quiet, every client has the state of the table, and no reducer saw an older change than its state', async () => {
    const witness: Witness = { echoes: 0, loads: 0, violations: [] }
    const gaps = new Set<string>()
    await fc.assert(fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 30 }), fc.integer({ min: 20, max: 400 }), fc.nat(4), async (acts, pieceBytes, lag) => {
      server = await startSSEServer({ heartbeatMs: 20, retryMs: 1, pollWaitMs: 50, retention: { maxMessages: 4 } })
      const table = new Table()
      const list = server.channel<Change>('list')
      const snapshot = () => list.snapshot(async () => {
        await turns(lag)
        const { state } = table
        await turns(lag)
        return state
      })
      server.route('/', () => list)
      server.use('/list', defineEventHandler(snapshot))
      proxy = await startProxy(server.url)
      proxy.pieceBytes = pieceBytes
      const followers: Follower<Loaded>[] = []
      const lines = new Map<number, Promise<unknown>>()
      const join = async (kind: Kind) => {
        const rendered = kind === 'rendered' ? JSON.parse(JSON.stringify(await snapshot())) as SSESnapshot<Loaded> : undefined
        followers.push(witnessed(proxy!.url, `${proxy!.url}/list`, witness, kind, rendered))
      }
      const publish = ({ row, remove, lag }: Extract<Act, { type: 'write' }>) => {
        const next = (lines.get(row) ?? Promise.resolve()).then(async () => {
          const change = table.commit(row, remove)
          await turns(lag)
          await list.publish(change)
        })
        lines.set(row, next)
      }
      const quiet = async () => {
        proxy!.mute = false
        proxy!.bytesUntilCut = Infinity
        await Promise.all(lines.values())
        for (const { client } of followers) if (client.state.status === 'closed') client.connect()
        await vi.waitFor(() => {
          for (const { client, data } of followers) expect([client.state.status, data.rows]).toEqual(['connected', table.state.rows])
        }, { timeout: 20_000, interval: 5 })
      }
      await join('alone')
      for (const one of acts) {
        const some = followers[acts.indexOf(one) % followers.length]
        switch (one.type) {
          case 'write':
            publish(one)
            break
          case 'join':
            await join(one.kind)
            break
          case 'cut':
            proxy.cut()
            break
          case 'cutAfter':
            proxy.bytesUntilCut = pieceBytes * 2
            break
          case 'restart':
            // A memory server that starts again: all connections and the log are lost, the table is not.
            await server.context.driver.remove('list')
            proxy.cut()
            break
          case 'delete':
            await list.delete()
            break
          case 'mute':
            proxy.mute = true
            proxy.cut()
            break
          case 'unmute':
            proxy.mute = false
            break
          case 'reconnect':
            some?.client.connect(proxy.url)
            break
          case 'stop':
            some?.client.stop()
            break
          case 'settle':
            await quiet()
        }
        await turns(3)
      }
      await quiet()
      for (const { client, log } of followers) {
        for (const change of log) if (change !== 'loaded' && change.gap) gaps.add(change.gap.reason)
        client.stop()
      }
      expect(witness.violations).toEqual([])
      await proxy.close()
      await server.close()
      expect(server.left()).toEqual(NOTHING)
    }), { numRuns: 60 * Number(process.env.SSE_RUNS ?? 1), endOnFailure: true, examples: [[lossesOf('list'), 400, 0]] })
    // What it is about did happen.
    expect([...gaps].sort()).toEqual(expect.arrayContaining(['epoch', 'trimmed']))
    expect(witness.echoes).toBeGreaterThan(0)
  }, 240_000)
})

/** Keys of a route of two channels. */
const KEYS = ['a', 'b'] as const
type Key = typeof KEYS[number]

const key = fc.constantFrom(...KEYS)
const keyedAct = fc.oneof(
  { weight: 10, arbitrary: fc.record({ type: fc.constant('write' as const), key, row: fc.nat(2), remove: fc.boolean(), lag: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('join' as const), key, kind: fc.constantFrom<Kind>('alone', 'shared', 'shared', 'rendered', 'poll'), whole: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('delete' as const), key }) },
  { weight: 7, arbitrary: fc.record({ type: fc.constantFrom('cut', 'cutAfter', 'mute', 'unmute', 'settle', 'settle', 'reconnect', 'stop'), key }) },
)

describe('states of two channels of one route, over the real client and server', () => {
  it('each client has the state of its own channel when all is quiet, and no gap of the other one loads it again', async () => {
    const witness: Witness = { echoes: 0, loads: 0, violations: [] }
    const gaps = new Set<string>()
    await fc.assert(fc.asyncProperty(fc.array(keyedAct, { minLength: 5, maxLength: 30 }), fc.integer({ min: 20, max: 400 }), fc.nat(4), async (acts, pieceBytes, lag) => {
      server = await startSSEServer({ heartbeatMs: 20, retryMs: 1, pollWaitMs: 50, retention: { maxMessages: 2 } })
      const tables = { a: new Table(), b: new Table() }
      const channels = { a: server.channel<Change>('a'), b: server.channel<Change>('b') }
      const both = () => server!.channels(channels)
      const snapshot = (key: Key, whole: boolean) => {
        const read = async () => {
          await turns(lag)
          const { state } = tables[key]
          await turns(lag)
          return state
        }
        return whole ? both().snapshot(read) : channels[key].snapshot(read)
      }
      server.route('/', both)
      for (const key of KEYS) {
        server.use(`/whole/${key}`, defineEventHandler(() => snapshot(key, true)))
        server.use(`/own/${key}`, defineEventHandler(() => snapshot(key, false)))
      }
      proxy = await startProxy(server.url)
      proxy.pieceBytes = pieceBytes
      const followers: { key: Key, follower: Follower<Loaded> }[] = []
      const lines = new Map<string, Promise<unknown>>()
      const join = async (key: Key, kind: Kind, whole: boolean) => {
        const rendered = kind === 'rendered' ? JSON.parse(JSON.stringify(await snapshot(key, false))) as SSESnapshot<Loaded> : undefined
        followers.push({ key, follower: witnessed(proxy!.url, `${proxy!.url}/${whole ? 'whole' : 'own'}/${key}`, witness, kind, rendered, key) })
      }
      const quiet = async () => {
        proxy!.mute = false
        proxy!.bytesUntilCut = Infinity
        await Promise.all(lines.values())
        for (const { follower: { client } } of followers) if (client.state.status === 'closed') client.connect()
        await vi.waitFor(() => {
          for (const { key, follower: { client, data } } of followers) expect([client.state.status, data.rows]).toEqual(['connected', tables[key].state.rows])
        }, { timeout: 20_000, interval: 5 })
      }
      await join('a', 'alone', false)
      for (const one of acts) {
        const some = followers[acts.indexOf(one) % followers.length]?.follower.client
        if (one.type === 'write') {
          const { key, row, remove, lag } = one
          lines.set(key + row, (lines.get(key + row) ?? Promise.resolve()).then(async () => {
            const change = tables[key].commit(row, remove)
            await turns(lag)
            await channels[key].publish(change)
          }))
        }
        else if (one.type === 'join') await join(one.key, one.kind, one.whole)
        else if (one.type === 'delete') await channels[one.key].delete()
        else if (one.type === 'cut') proxy.cut()
        else if (one.type === 'cutAfter') proxy.bytesUntilCut = pieceBytes * 2
        else if (one.type === 'unmute') proxy.mute = false
        else if (one.type === 'reconnect') some?.connect(proxy.url)
        else if (one.type === 'stop') some?.stop()
        else if (one.type === 'settle') await quiet()
        else {
          proxy.mute = true
          proxy.cut()
        }
        await turns(3)
      }
      await quiet()
      for (const { key, follower: { client, log } } of followers) {
        for (const change of log) {
          if (change === 'loaded' || !change.gap) continue
          gaps.add(change.gap.reason)
          if (change.gap.channel !== key) witness.violations.push(`a gap of ${change.gap.channel} for ${key}`)
        }
        // Each load but the first follows a gap of the client's own channel, its `connect` with a URL, or a failed load.
        const own = log.filter(change => change === 'loaded').length
        const reasons = log.filter(change => change !== 'loaded' && (change.gap || change.error?.code === 'LOAD_FAILED' || change.status === 'connecting')).length
        if (own > reasons + 1) witness.violations.push(`${own} loads with ${reasons} reasons`)
        client.stop()
      }
      expect(witness.violations).toEqual([])
      await proxy.close()
      await server.close()
      expect(server.left()).toEqual(NOTHING)
    }), { numRuns: 60 * Number(process.env.SSE_RUNS ?? 1), endOnFailure: true, examples: [[lossesOf('a'), 400, 0]] })
    expect([...gaps].sort()).toEqual(expect.arrayContaining(['epoch', 'trimmed']))
    expect(witness.echoes).toBeGreaterThan(0)
  }, 240_000)
})

describe('a memory server that restarts under 1,000 clients', () => {
  const CLIENTS = 1_000
  const MIN_DELAY_MS = 2_000

  it.each([
    ['and keeps its messages', 0],
    ['and trims them faster than a state is loaded, three times', 3],
  ])('%s: each client loads once for each step of its backoff, and they do so at different times', async (_, trimmed) => {
    const clock = new VirtualClock()
    clock.install()
    const random = createRandom(7)
    vi.spyOn(Math, 'random').mockImplementation(() => random.int(1_000_000) / 1_000_000)
    const model = new ModelServer(() => {})
    model.heartbeatMs = 0
    const loads: { client: number, at: number }[] = []
    /** Loads of each client after the restart that come too late: the channel has lost what follows them. */
    const late = new Map<number, number>()
    let restartedAt = Infinity
    vi.stubGlobal('fetch', inProcessFetch((wire) => {
      model.wires.push(wire)
      model.honest(wire)
      // The server needs only the connections that are open.
      model.wires.splice(0, model.wires.length, ...model.open)
    }, () => Promise.resolve(new Response())))
    const clients: SSEClient[] = []
    for (let client = 0; client < CLIENTS; client++) {
      const options = resolveClientOptions({ transports: ['stream'], headers: { 'x-life': String(client) }, reconnect: { minDelayMs: MIN_DELAY_MS } })
      options.readState = async () => {
        loads.push({ client, at: clock.monotonicMs })
        const { epoch, head } = model.log('/')
        const times = late.get(client) ?? 0
        const isLate = clock.monotonicMs >= restartedAt && times < trimmed
        if (isLate) late.set(client, times + 1)
        return { type: 'loaded', data: undefined, position: `e${epoch}.${isLate ? 1 : head}` }
      }
      options.loadState = loadState
      clients.push(createSSEClient('http://model/', options, { onMessage: () => {}, onState: () => {}, onLoad: () => {} }))
    }
    for (const client of clients) client.connect()
    await settled()
    await settled()
    expect(loads).toHaveLength(CLIENTS)
    expect(clients.filter(({ state }) => state.status === 'connected')).toHaveLength(CLIENTS)

    // The connections hold, so that the loss of the log is no failure of the load.
    await clock.advance(40_000)
    loads.length = 0
    restartedAt = clock.monotonicMs
    model.lose('/')
    model.logs.set('/', { epoch: 2, trimmed: 100, head: 100, ended: false })
    await settled()
    await clock.advance(trimmed ? 30_000 : 3_000)
    expect(clients.filter(({ state }) => state.status === 'connected')).toHaveLength(CLIENTS)
    const each = Array.from({ length: CLIENTS }, (_, client) => loads.filter(load => load.client === client).map(({ at }) => at - restartedAt))
    expect(Math.max(...each.map(times => times.length))).toBeLessThanOrEqual(1 + trimmed)
    expect(Math.min(...each.map(times => times.length))).toBe(1 + trimmed)
    expect(Math.max(...each.map(([first]) => first!))).toBeLessThan(MIN_DELAY_MS * 1.1)
    // Full jitter: no tenth of the first delay has much more than a tenth of the loads.
    const tenths = Array.from({ length: 10 }, (_, tenth) => each.filter(([first]) => Math.floor(first! / (MIN_DELAY_MS / 10)) === tenth).length)
    expect(Math.max(...tenths)).toBeLessThan(CLIENTS / 10 * 1.6)
    // Each delay is drawn from twice the range of the one before.
    for (const times of each) for (let n = 1; n < times.length; n++) expect(times[n]! - times[n - 1]!).toBeLessThan(MIN_DELAY_MS * 2 ** n * 1.1)
    for (const client of clients) client.stop()
  }, 60_000)
})
