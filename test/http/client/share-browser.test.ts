import { describe, expect, it, vi } from 'vitest'
import fc from 'fast-check'
import { resolveClientOptions } from '../../support/client-options'
import { lockName } from '../../../src/runtime/client/sharing/election'
import { SHARING_VERSION, sharingKey } from '../../../src/runtime/client/sharing/key'
import type { SSEClientState } from '../../../src/runtime/client/types'
import type { FeedEvent } from '../../../src/runtime/client/sharing/election'
import { parsePosition } from '../../../src/runtime/shared/position'
import { eventually } from '../../support/conditions'
import { turns } from '../../support/random'
import { control, message } from '../../support/scripted-server'
import { useSSEServer } from '../../support/sse-server'
import { END, stubBrowser, useHarness } from './harness'
import type { Sharer } from './sharer'
import { openTab, useSharers } from './sharer'

const harness = useHarness()
useSharers()

/** The name that tabs give to those of `share: 'browser'` with this request. */
const nameFor = async (url: string, options = resolveClientOptions()) => lockName(await sharingKey(url, options, true, new AbortController().signal))

const below = (name: string, names: string[]) => names.map(inner => `${name}.${inner}`)

/** All that is in it, at any depth. */
function namesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => [name, ...below(name, namesIn(inner))])
}

describe('one connection for all tabs', () => {
  it('the leader forwards all that it receives to the others', async () => {
    const { server } = harness
    server.script(x => x.status(503, { message: 'Not yet', data: { code: 'NOT_YET' } }, { 'retry-after': '1' }), x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1', 'named')), x => x.status(204))
    const first = await openTab()
    const second = await openTab()
    const both = [first(server.url), second(server.url)]
    await eventually(() => {
      for (const { state } of both) expect(state).toMatchObject({ status: 'reconnecting', attempt: 1, error: { name: 'SSEError', code: 'NOT_YET', statusCode: 503, message: 'Not yet', retry: true } })
    })
    for (const { state } of both) expect(state.error).toBeInstanceOf(Error)
    await eventually(() => {
      for (const { messages, state } of both) {
        expect(messages).toEqual([{ id: 'e1.1', event: 'named', data: 1 }])
        expect(state).toMatchObject({ status: 'connected', attempt: 0, error: undefined, position: 'e1.1', transport: 'stream' })
      }
    })
    expect(server.exchanges).toHaveLength(2)
    server.exchanges[1]!.end(END)
    // A tab that gets the lock before the message arrives requests the server, and receives the same.
    await eventually(() => expect(both.map(one => one.state)).toMatchObject(Array.from({ length: 2 }).fill({ status: 'closed', ended: true, error: undefined })))
  })

  it('when the leader\'s last component stops, another tab resumes from its own position', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.5' }))
    const first = await openTab()
    const second = await openTab()
    const leader = first(server.url)
    await eventually(() => expect(leader.state.status).toBe('connected'))
    const follower = second(server.url, { position: 'e1.5' })
    await eventually(() => expect(follower.state).toMatchObject({ status: 'connected', position: 'e1.5' }))
    expect(server.exchanges).toHaveLength(1)
    leader.stop()
    await eventually(() => expect(server.exchanges).toHaveLength(2))
    expect(server.exchanges[0]!.closed).toBe(true)
    // It has had no message, and yet knows where the feed stood.
    expect(server.exchanges[1]!.position).toBe('e1.5')
    await eventually(() => expect(follower.statuses).toEqual(['connecting', 'connected', 'reconnecting', 'connected']))
  })

  it('the messages between tabs match their version: count SHARING_VERSION up with any change of them, since tabs of the last deployment are listening', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.0' }), x => x.status(204))
    const leader = (await openTab())(server.url)
    await eventually(() => expect(leader.state.status).toBe('connected'))
    const words: unknown[] = []
    const channel = new BroadcastChannel((await navigator.locks.query()).held![0]!.name!)
    channel.onmessage = event => void words.push((event as MessageEvent).data)
    const follower = (await openTab())(server.url, { position: 'e1.0' })
    await eventually(() => expect(follower.state.status).toBe('connected'))
    server.exchanges[0]!.write(message(1, 'e1.1', 'named') + control({ type: 'gap', reason: 'epoch', missed: null, position: 'e2.0' })).end(control({ type: 'error', code: 'X', statusCode: 500, message: 'x', retry: false }))
    await eventually(() => expect(words).toContainEqual(expect.objectContaining({ state: expect.objectContaining({ status: 'closed', error: expect.anything() }) })))
    // A tab that gets the lock before that message arrives requests the server.
    await eventually(() => expect([leader, follower].map(({ state }) => state.status)).toEqual(['closed', 'closed']))
    channel.close()
    const gap = ['reason', 'missed', 'position']
    const error = ['name', 'code', 'statusCode', 'retry', 'retryAt', 'details', 'message']
    const state = ['status', 'error', 'position', 'transport', 'attempt', 'ended', 'gap', 'peer', 'had', 'channels', ...below('gap', gap), ...below('error', error)]
    expect({ SHARING_VERSION, ask: words.includes(0), names: new Set(words.flatMap(namesIn)) }).toEqual({
      SHARING_VERSION: 3,
      ask: true,
      names: new Set(['after', 'term', 'state', 'gap', 'message', ...below('state', state), ...below('gap', gap), ...below('message', ['id', 'event', 'data'])]),
    })
  })

  it('leaves no lock, no request for one, and no channel', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.0' }))
    const first = await openTab()
    const second = await openTab()
    const both = [first(server.url), second(server.url)]
    await eventually(() => expect(both.map(one => one.state.status)).toEqual(['connected', 'connected']))
    const { held, pending } = await navigator.locks.query()
    expect([held, pending].map(list => list!.length)).toEqual([1, 1])
    for (const one of both) one.stop()
    await eventually(async () => expect(await navigator.locks.query()).toEqual({ held: [], pending: [] }))
    await eventually(() => expect(server.exchanges.every(x => x.closed)).toBe(true))
    expect(process.getActiveResourcesInfo().filter(name => name === 'MessagePort')).toEqual([])
  })

  it('a page that sleeps gives the lock back, and takes part again when it wakes', async () => {
    const { server } = harness
    const page = stubBrowser()
    server.script(x => x.open({ position: 'e1.7' }))
    const one = (await openTab())(server.url)
    await eventually(() => expect(one.state).toMatchObject({ status: 'connected', position: 'e1.7' }))
    for (const [sleep, wake] of [['freeze', 'resume'], ['pagehide', 'pageshow']] as const) {
      server.exchanges.length = 1
      page.dispatchEvent(new Event(sleep))
      await eventually(async () => expect(await navigator.locks.query()).toEqual({ held: [], pending: [] }))
      expect(one.state).toMatchObject({ status: 'idle', position: 'e1.7' })
      page.dispatchEvent(new Event(wake))
      await eventually(() => expect(one.state.status).toBe('connected'))
      expect(server.exchanges.map(x => x.position)).toEqual([server.exchanges[0]!.position, 'e1.7'])
    }
  })

  it('a tab that pauses when it is hidden leaves the others their connection', async () => {
    const { server } = harness
    const page = stubBrowser()
    const document = { visibilityState: 'visible' }
    vi.stubGlobal('document', document)
    server.script(x => x.open({ position: 'e1.0' }))
    const one = (await openTab())(server.url, { pauseWhenHidden: true })
    await eventually(() => expect(one.state.status).toBe('connected'))
    document.visibilityState = 'hidden'
    page.dispatchEvent(new Event('visibilitychange'))
    expect(one.state.status).toBe('idle')
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
    document.visibilityState = 'visible'
    page.dispatchEvent(new Event('visibilitychange'))
    await eventually(() => expect(one.state.status).toBe('connected'))
    expect(server.exchanges).toHaveLength(2)
  })

  it('a tab that is hidden from the start announces that it pauses', async () => {
    const { server } = harness
    const page = stubBrowser()
    const document = { visibilityState: 'hidden' }
    vi.stubGlobal('document', document)
    server.script(x => x.open())
    const one = (await openTab())(server.url, { pauseWhenHidden: true })
    expect(one.state.status).toBe('idle')
    // The key is there, and no tab has requested the lock.
    await crypto.subtle.digest('SHA-256', new Uint8Array())
    expect(one.state.status).toBe('idle')
    document.visibilityState = 'visible'
    await eventually(() => {
      page.dispatchEvent(new Event('visibilitychange'))
      expect(one.state.status).toBe('connected')
    })
    expect(server.exchanges).toHaveLength(1)
  })

  // @guarantee complete-not-dropped
  it('the next leader does not repeat a request that cannot be repeated', async () => {
    const { server } = harness
    server.script(x => x.open().write(message('part')))
    const post = { method: 'POST', body: { prompt: 'once' } }
    const leader = (await openTab())(server.url, post)
    await eventually(() => expect(leader.seen).toEqual(['part']))
    const follower = (await openTab())(server.url, post)
    await eventually(() => expect(follower.state.status).toBe('connected'))
    leader.stop()
    await eventually(() => expect(follower.state).toMatchObject({ status: 'closed', error: { code: 'INTERRUPTED', retry: false } }))
    expect(server.exchanges).toHaveLength(1)
    // The lock is granted on request.
    follower.connect()
    await eventually(() => expect(follower.seen).toEqual(['part']))
    expect(server.exchanges).toHaveLength(2)
  })

  it('the next leader repeats a request with a position', async () => {
    const { server } = harness
    server.script(x => x.open({ position: 'e1.5' }))
    const post = { method: 'POST', position: 'e1.5' }
    const leader = (await openTab())(server.url, post)
    await eventually(() => expect(leader.state.status).toBe('connected'))
    const follower = (await openTab())(server.url, post)
    await eventually(() => expect(follower.state).toMatchObject({ status: 'connected', position: 'e1.5' }))
    leader.stop()
    await eventually(() => expect(server.exchanges.map(x => x.request.headers['last-event-id'])).toEqual([undefined, 'e1.5']))
  })

  // @guarantee complete-not-dropped
  it('a sleep does not cut a request that cannot be repeated', async () => {
    const { server } = harness
    const page = stubBrowser()
    server.script(x => x.open().write(message('part')))
    const one = (await openTab())(server.url, { method: 'POST' })
    await eventually(() => expect(one.seen).toEqual(['part']))
    page.dispatchEvent(new Event('freeze'))
    page.dispatchEvent(new Event('resume'))
    server.exchanges[0]!.end(message('rest') + END)
    await eventually(() => expect(one.state).toMatchObject({ status: 'closed', ended: true }))
    expect(one.seen).toEqual(['part', 'rest'])
    expect(server.exchanges).toHaveLength(1)
  })

  it('is of the page where there are no locks', async () => {
    const { server } = harness
    server.script(x => x.open())
    const { locks } = navigator
    Object.defineProperty(navigator, 'locks', { value: undefined, configurable: true })
    try {
      const tab = await openTab()
      const both = [tab(server.url), tab(server.url)]
      await eventually(() => expect(both.map(one => one.state.status)).toEqual(['connected', 'connected']))
      expect(server.exchanges).toHaveLength(1)
    }
    finally {
      Object.defineProperty(navigator, 'locks', { value: locks, configurable: true })
    }
  })

  it('each tab is alone where locks are refused, as in a sandboxed frame', async () => {
    const { server } = harness
    server.script(x => x.open())
    const { locks } = navigator
    Object.defineProperty(navigator, 'locks', { value: { request: () => Promise.reject(new DOMException('', 'SecurityError')) }, configurable: true })
    try {
      const tab = await openTab()
      const one = tab(server.url)
      await eventually(() => expect(one.state.status).toBe('connected'))
    }
    finally {
      Object.defineProperty(navigator, 'locks', { value: locks, configurable: true })
    }
  })

  it('the names of locks and channels show nothing of a token', async () => {
    const options = resolveClientOptions({ headers: { authorization: 'Bearer secret' } })
    const name = await nameFor('http://127.0.0.1/api/x', options)
    expect(name).toMatch(/^nuxt-sse:[\w+/]{43}=$/)
    expect(await nameFor('http://127.0.0.1/api/x', options)).toBe(name)
  })

  it('a URL that is relative to its page is another one on another page', async () => {
    // The equivalent of a document's base in `fetch` and `Request` of Node.
    const base = Symbol.for('undici.globalOrigin.1')
    const names = new Map<string, string>()
    try {
      for (const page of ['http://127.0.0.1/a/', 'http://127.0.0.1/a/other', 'http://127.0.0.1/b/']) {
        Object.defineProperty(globalThis, base, { value: new URL(page), configurable: true })
        names.set(page, await nameFor('feed'))
      }
    }
    finally {
      Reflect.deleteProperty(globalThis, base)
    }
    const [one, sibling, other] = names.values()
    expect(sibling).toBe(one)
    expect(other).not.toBe(one)
  })
})

/**
 * A leader that sends anything a test wants: the truth, doubled, with holes, late, of another term. It has the lock, and the
 * member that follows it reads the missing messages from the real server.
 */
async function startUnreliableLeader(url: string, stand: () => void): Promise<{ tell(event: FeedEvent, term: number): void, stop(): void }> {
  const name = await nameFor(url)
  const channel = new BroadcastChannel(name)
  // A newcomer requests its position.
  channel.onmessage = ({ data }) => data === 0 && stand()
  let release = () => {}
  await new Promise<void>(resolve => void navigator.locks.request(name, () => new Promise<void>((end) => {
    release = end
    resolve()
  })))
  return {
    tell: (event, term) => channel.postMessage({ ...event, term }),
    stop() {
      channel.close()
      release()
    },
  }
}

type Command
  = | { type: 'publish', count: number }
    /** The message at this fraction of the published ones, and `count - 1` after it. */
    | { type: 'live', at: number, count: number }
    /** Sends its position, as on a request. */
    | { type: 'stand', at: number }
    /** The next leader, which starts there. */
    | { type: 'leader', at: number }
    /** The former leader still sends. */
    | { type: 'sleeper', at: number }
    | { type: 'turns', count: number }
    | { type: 'delete' }

const part = fc.integer({ min: 0, max: 1_000 }).map(n => n / 1_000)
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('live' as const), at: fc.oneof(part, fc.constant(1)), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('stand' as const), at: part }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leader' as const), at: part }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('sleeper' as const), at: part }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('turns' as const), count: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 1, arbitrary: fc.constant({ type: 'delete' as const }) },
)
const asked = fc.constantFrom(undefined, 'start', 0, 3, 'id' as const)

describe('a member, at any feed', () => {
  const server = useSSEServer({ pollWaitMs: 500 })

  it('has each message once, in order, from its start position', { timeout: 120_000 }, async () => {
    let run = 0
    const property = fc.asyncProperty(asked, fc.integer({ min: 3, max: 8 }), fc.array(command, { minLength: 1, maxLength: 30 }), async (from, before, commands) => {
      const name = `run${run++}`
      const url = `${server.url}/${name}`
      const channel = server.channel<number>(name)
      server.route(`/${name}`, () => channel)
      // The messages published per epoch: the whole truth.
      const logs = new Map<string, number[]>()
      let epoch = ''
      let n = 0
      const publish = async () => {
        const position = parsePosition(await channel.publish(++n))!
        epoch = position.epoch
        logs.set(epoch, [...logs.get(epoch) ?? [], n])
      }
      for (let i = 0; i < before; i++) await publish()
      const first = { epoch, offset: before }

      const leader = await startUnreliableLeader(url, () => stand(last()))
      let term = Date.now()
      const last = () => logs.get(epoch)!.length
      const offsetOf = (at: number) => Math.round(at * last())
      const stateAt = (offset: number): SSEClientState => ({ status: 'connected', error: undefined, position: `${epoch}.${offset}`, transport: 'stream', attempt: 0, ended: false, gap: undefined, peer: 'resumable' })
      const stand = (offset: number, of = term) => leader.tell({ after: `${epoch}.${offset}`, state: stateAt(offset) }, of)
      const live = (offset: number, of = term) => leader.tell({ after: `${epoch}.${offset - 1}`, state: stateAt(offset), message: { id: `${epoch}.${offset}`, data: logs.get(epoch)![offset - 1] } }, of)

      const position = from === 'id' ? `${epoch}.2` : from
      const skipped = from === 'id' ? 2 : Number(from) || 0
      const follower = (await openTab())(url, { position })
      try {
        for (const one of commands) {
          if (one.type === 'publish') for (let i = 0; i < one.count; i++) await publish()
          if (one.type === 'live') for (let i = 0; i < one.count; i++) if (offsetOf(one.at) + i >= 1 && offsetOf(one.at) + i <= last()) live(offsetOf(one.at) + i)
          if (one.type === 'stand') stand(offsetOf(one.at))
          if (one.type === 'leader') {
            term++
            stand(offsetOf(one.at))
          }
          if (one.type === 'sleeper' && offsetOf(one.at)) live(offsetOf(one.at), term - 1)
          if (one.type === 'turns') await turns(one.count)
          // A number is a claim, and proves nothing for another log.
          if (one.type === 'delete' && typeof from !== 'number') {
            await channel.delete()
            await publish()
            // As the server sends it to the leader: later messages start there.
            stand(0)
          }
        }
        await publish()
        live(last())
        await eventually(() => expect(follower.seen.at(-1)).toBe(n))
        expectOnceInOrder(follower, logs, first.epoch, skipped)
        expect(follower.state.position).toBe(`${epoch}.${last()}`)
        // Live messages follow now, without another read.
        await publish()
        live(last())
        await eventually(() => expect(follower.state).toMatchObject({ position: `${epoch}.${last()}`, transport: 'stream', status: 'connected' }))
        expectOnceInOrder(follower, logs, first.epoch, skipped)
      }
      finally {
        follower.stop()
        leader.stop()
      }
    })
    await fc.assert(property, { numRuns: Number(process.env.SSE_RUNS ?? 1) * 150 })
  })
})

/** All of each epoch that it was in; of an earlier one a beginning, followed by a gap. */
function expectOnceInOrder(follower: Sharer, logs: Map<string, number[]>, firstEpoch: string, skipped: number): void {
  const byEpoch = new Map<string, unknown[]>()
  for (const { id, data } of follower.messages) {
    const { epoch } = parsePosition(id!)!
    byEpoch.set(epoch, [...byEpoch.get(epoch) ?? [], data])
  }
  const epochs = [...logs.keys()]
  let total = 0
  for (const [epoch, had] of byEpoch) {
    const all = logs.get(epoch)!.slice(epoch === firstEpoch ? skipped : 0)
    expect(had).toEqual(epoch === epochs.at(-1) ? all : all.slice(0, had.length))
    total += had.length
  }
  expect(follower.messages).toHaveLength(total)
  // Epochs never repeat.
  expect([...byEpoch.keys()]).toEqual(epochs.filter(epoch => byEpoch.has(epoch)))
}
