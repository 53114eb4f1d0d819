import { get } from 'node:http'
import process from 'node:process'
import fc from 'fast-check'
import { getQuery } from 'h3'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { reduceSSEPresence } from '../../../src/runtime/app/reduce-sse-presence'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { createRedisDriver } from '../../../src/runtime/server/drivers/redis/redis'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import type { SSEHandlerOptions } from '../../../src/runtime/server/options'
import type { SSEPresenceMember, SSEPresenceMessage } from '../../../src/runtime/shared/presence'
import { createFailingDriver } from '../../../src/runtime/test'
import type { FailingDriver } from '../../../src/runtime/test'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { startRedis } from '../../support/redis'
import type { TestRedis } from '../../support/redis'
import { useSSEServers } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'

const RETENTION = { maxMessages: 10_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const RUNS = 6 * Number(process.env.SSE_RUNS ?? 1)
const start = useSSEServers()

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

/** Makes drivers that share a store. */
const stores: Record<string, () => () => LogDriver> = {
  memory: () => {
    const shared = createMemoryDriver(RETENTION)
    // One server's shutdown must not empty the other's store.
    return () => ({ ...shared, close: async () => {} })
  },
  redis: () => () => createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION),
}

interface Instance extends TestServer {
  driver: FailingDriver
  /** What `kill -9` does, as far as others can see it: nothing reaches the store any more, and all sockets are cut. */
  kill(): void
}

async function startInstance(driver: LogDriver, options: SSEHandlerOptions): Promise<Instance> {
  const failing = createFailingDriver(driver)
  const server = await start({ leaveAfterMs: 100, leaseMs: 300, retryMs: 50, pollWaitMs: 100, shutdownMs: 0, ...options }, failing)
  server.route('/room', (event) => {
    const { room, id, data } = getQuery(event)
    return server.presence(String(room), id === undefined ? undefined : { id: String(id), ...data !== undefined && { data } })
  })
  return Object.assign(server, {
    driver: failing,
    kill() {
      failing.fail('all')
      for (const socket of server.sockets) socket.destroy()
    },
  })
}

/** A reader that follows a room for good: when it is cut off, it continues elsewhere. */
class Watcher {
  readonly messages: { id?: string, data: SSEPresenceMessage }[] = []
  #reader?: SSEReader
  #isClosed = false

  constructor(private readonly room: string, private readonly instances: readonly Instance[], private at: number) {
    void this.#follow()
  }

  get list(): SSEPresenceMember[] {
    return listOf([...this.messages, ...this.#reader?.messages as typeof this.messages ?? []])
  }

  get gaps(): number {
    return this.#reader?.controls.filter(({ type }) => type === 'gap').length ?? 0
  }

  close(): void {
    this.#isClosed = true
    this.#reader?.close()
  }

  async #follow(): Promise<void> {
    let position: string | undefined
    while (!this.#isClosed) {
      const instance = this.instances[this.at++ % this.instances.length]!
      try {
        this.#reader = await SSEReader.open(`${instance.url}/room?room=${this.room}`, position ? { headers: { 'last-event-id': position } } : {})
        if (this.#isClosed) this.#reader.close()
        await this.#reader.finished
        this.messages.push(...this.#reader.messages as typeof this.messages)
        position = this.#reader.position ?? position
      }
      catch {
        await new Promise(resolve => setTimeout(resolve, 10))
      }
      this.#reader = undefined
    }
  }
}

function listOf(messages: readonly object[]): SSEPresenceMember[] {
  return (messages as { data: SSEPresenceMessage }[]).reduce<SSEPresenceMember[]>((list, message) => reduceSSEPresence(list, message), []).sort(byId)
}

const byId = (one: { id: string }, other: { id: string }) => one.id < other.id ? -1 : 1
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

/** Throws unless each change came once: a member joins only if it is away, and changes or leaves only if it is there. */
function expectOnce(messages: readonly { data: SSEPresenceMessage }[]): void {
  const there = new Set<string>()
  for (const { data } of messages) {
    if (data.type === 'members') {
      if (!data.continues) there.clear()
      for (const { id } of data.members) there.add(id)
    }
    else if (data.type === 'leave') {
      expect(there.delete(data.id), `${data.id} left twice`).toBe(true)
    }
    else {
      expect(there.has(data.member.id), JSON.stringify(data)).toBe(data.type === 'update')
      there.add(data.member.id)
    }
  }
}

const id = fc.constantFrom('ann', 'ben', 'cleo')
const at = fc.nat({ max: 1 })
const data = fc.constantFrom('1', '2')
type Step
  = | { do: 'open', id: string, at: number, data: string }
    | { do: 'poll', id: string, at: number, data: string }
    | { do: 'move', id: string, at: number, data: string }
    | { do: 'close', id: string }
    | { do: 'return', id: string, at: number, ms: number }
    | { do: 'cut' | 'kill' | 'deploy' | 'loseAnswers', at: number }
    | { do: 'forget' }
    | { do: 'pass', ms: number }
/** Steps that no member notices, if `leaveAfterMs` is long. */
const quietSteps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('open' as const, 'move' as const, 'poll' as const), id, at, data: fc.constant('1') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('return' as const), id, at, ms: fc.constantFrom(0, 30, 200) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'deploy' as const), at }) },
), { minLength: 3, maxLength: 14 })
const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('open' as const, 'move' as const, 'poll' as const), id, at, data }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('close' as const), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('return' as const), id, at, ms: fc.constantFrom(0, 30, 300) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'kill' as const, 'deploy' as const), at }) },
  { weight: 2, arbitrary: fc.oneof(fc.record({ do: fc.constant('loseAnswers' as const), at }), fc.record({ do: fc.constant('forget' as const) })) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(30, 200, 500) }) },
), { minLength: 3, maxLength: 14 })

describe.each(Object.keys(stores))('two servers on %s', (name) => {
  let rooms = 0

  interface Game {
    instances: Instance[]
    room: string
    /** Open tabs by member. */
    tabs: Map<string, { at: Instance, reader: SSEReader }[]>
    /** Data of each member's newest tab. */
    newest: Map<string, string>
    watchers: Watcher[]
    /** Ends it, and resolves with all changes. */
    end(): Promise<{ data: SSEPresenceMessage }[]>
  }

  async function play(all: readonly Step[], options: SSEHandlerOptions): Promise<Game> {
    const create = stores[name]!()
    const instances = [await startInstance(create(), options), await startInstance(create(), options)]
    const room = `${name}-${++rooms}`
    const watchers = [0, 1].map(index => new Watcher(room, instances, index))
    const tabs: Game['tabs'] = new Map()
    const newest = new Map<string, string>()
    const url = (step: { id: string, at: number, data: string }) => `${instances[step.at]!.url}/room?room=${room}&id=${step.id}&data=${step.data}`
    const open = async (step: { id: string, at: number, data: string }) => {
      // A cut may have ended the kept-alive connection that it would use: then it was not sent.
      const reader = await SSEReader.open(url(step)).catch(() => SSEReader.open(url(step)))
      await reader.until(({ messages }) => messages.length > 0)
      newest.set(step.id, step.data)
      tabs.set(step.id, [...tabs.get(step.id) ?? [], { at: instances[step.at]!, reader }])
    }
    const close = (id: string) => tabs.get(id)?.shift()?.reader.close()
    /** Forgets the tabs of an instance, and returns the members that had one. */
    const lose = (instance: Instance) => [...tabs].flatMap(([member, open]) => {
      tabs.set(member, open.filter(tab => tab.at !== instance))
      return open.some(tab => tab.at === instance) ? [member] : []
    })
    /** Each server reports the data that it has read: data that it has not read when it is lost is gone. */
    const expectAllRead = () => eventually(() => {
      for (const [member, { length }] of tabs) {
        if (length === 0) continue
        const lists = [...watchers.map(({ list }) => list), ...[...tabs.values()].flat().map(({ reader }) => listOf(reader.messages))]
        for (const list of lists) expect(list.find(({ id }) => id === member)?.data).toBe(newest.get(member))
      }
    })
    for (const step of all) {
      switch (step.do) {
        case 'open': await open(step)
          break
        // A tab that is cut off, and is back at once, perhaps elsewhere.
        case 'move': close(step.id)
          await open(step)
          break
        case 'close': close(step.id)
          break
        case 'return':
          if (!tabs.get(step.id)?.length) break
          close(step.id)
          await pause(step.ms)
          await open({ ...step, data: newest.get(step.id)! })
          break
        case 'poll':
          // A cut may have ended the kept-alive connection that it would use: then it was not sent.
          await fetch(`${url(step)}&transport=poll&waitMs=0`).catch(() => fetch(`${url(step)}&transport=poll&waitMs=0`)).then(response => response.text())
          newest.set(step.id, step.data)
          break
        case 'cut':
        case 'kill': {
          const instance = instances[step.at]!
          lose(instance)
          if (step.do === 'kill') instance.kill()
          else for (const socket of instance.sockets) socket.destroy()
          if (step.do === 'kill') instances[step.at] = await startInstance(create(), options)
          break
        }
        // All clients of the instance are sent to the other one.
        case 'deploy': {
          const instance = instances[step.at]!
          const closing = instance.context.close()
          for (const member of lose(instance)) await open({ id: member, at: 1 - step.at, data: newest.get(member)! })
          await closing
          instances[step.at] = await startInstance(create(), options)
          break
        }
        // Renewals and releases find out by themselves.
        case 'loseAnswers': instances[step.at]!.driver.fail('presence', { times: 1, lost: 'answer' })
          await pause(120)
          instances[step.at]!.driver.heal()
          break
        case 'forget':
          await expectAllRead()
          await instances[0]!.presence(room).delete()
          break
        case 'pass': await pause(step.ms)
      }
    }
    return { instances, room, tabs, newest, watchers, async end() {
      for (const watcher of watchers) watcher.close()
      for (const open of tabs.values()) for (const { reader } of open) reader.close()
      const { messages } = await new Channels(instances[0]!, room).read()
      await eventually(() => expect(instances.every(({ context }) => context.connections.size === 0)).toBe(true))
      return messages
    } }
  }

  // @guarantee presence
  it('what watchers have is the truth when it is quiet, and each change comes once', async () => {
    await fc.assert(fc.asyncProperty(steps, async (all) => {
      const { instances, room, tabs, newest, watchers, end } = await play(all, {})
      const truth = [...tabs].filter(([, open]) => open.length > 0).map(([member]) => ({ id: member, data: newest.get(member) })).sort(byId)
      await eventually(async () => {
        expect((await instances[0]!.presence(room).members()).sort(byId)).toEqual(truth)
        for (const watcher of watchers) expect(watcher.list).toEqual(truth)
      }, 10_000)
      expectOnce(await end())
    }), { numRuns: RUNS, endOnFailure: true })
  }, 60_000)

  // @guarantee presence
  it('reconnects within `leaveAfterMs`, further tabs, cuts, polls and deploys are no message: each member joins once, and none leaves', async () => {
    await fc.assert(fc.asyncProperty(quietSteps, async (all) => {
      const { instances, room, newest, watchers, end } = await play(all, { leaveAfterMs: 60_000, leaseMs: 60_000 })
      const truth = [...newest].map(([member, data]) => ({ id: member, data })).sort(byId)
      await eventually(async () => {
        expect((await instances[0]!.presence(room).members()).sort(byId)).toEqual(truth)
        for (const watcher of watchers) expect(watcher.list).toEqual(truth)
      }, 10_000)
      const messages = await end()
      expect(messages.map(({ data }) => data.type)).toEqual(truth.map(() => 'join'))
      expectOnce(messages)
    }), { numRuns: RUNS, endOnFailure: true })
  }, 60_000)

  // @guarantee presence
  it('the data of the newest tab wins, also over data that its own server knew before', async () => {
    const create = stores[name]!()
    const [one, other] = [await startInstance(create(), {}), await startInstance(create(), {})]
    const room = `${name}-newest`
    const tabs: SSEReader[] = []
    for (const [server, data] of [[one, '1'], [other, '2'], [one, '1'], [other, '2']] as const) {
      const tab = await SSEReader.open(`${server.url}/room?room=${room}&id=ann&data=${data}`)
      await tab.until(({ messages }) => messages.length > 0)
      tabs.push(tab)
      expect(await one.presence(room).members()).toEqual([{ id: 'ann', data }])
    }
    for (const tab of tabs) tab.close()
  })

  // @guarantee presence
  it('the data of the newest tab wins after a loss of the records, also where the server of an older tab is the first to report again', async () => {
    const create = stores[name]!()
    const [one, other] = [await startInstance(create(), {}), await startInstance(create(), {})]
    const room = `${name}-newest-lost`
    const url = ({ url }: Instance, data: number) => `${url}/room?room=${room}&id=ann&data=${data}`
    const older = await SSEReader.open(url(one, 1))
    await older.until(({ messages }) => messages.length > 0)
    const newer = await SSEReader.open(url(other, 2))
    await older.until(({ messages }) => messages.length > 1)
    other.driver.fail('presence')
    await one.presence(room).delete()
    await eventually(async () => expect(await one.presence(room).members()).toEqual([{ id: 'ann', data: '2' }]))
    other.driver.heal()
    await eventually(async () => expect(await other.presence(room).members()).toEqual([{ id: 'ann', data: '2' }]))
    for (const tab of [older, newer]) tab.close()
  })

  // @guarantee presence
  it('members of a killed server leave within two leases, once, also without a watcher', async () => {
    const create = stores[name]!()
    const [one, other] = [await startInstance(create(), {}), await startInstance(create(), {})]
    const room = `${name}-killed`
    const watcher = await SSEReader.open(`${other.url}/room?room=${room}`)
    // Its list is empty: all members come as changes.
    await watcher.until(({ messages }) => messages.length === 1)
    const unwatched = await SSEReader.open(`${one.url}/room?room=${room}-unwatched&id=ann`)
    await unwatched.until(({ messages }) => messages.length > 0)
    const members = await Promise.all(['ann', 'ben'].map(member => SSEReader.open(`${one.url}/room?room=${room}&id=${member}`)))
    await watcher.until(({ messages }) => messages.length === 3)
    one.kill()
    // Within two leases: see test/unit/presence/lost-holders.test.ts, whose clock stands still while it is busy.
    await watcher.until(({ messages }) => messages.length === 5)
    await pause(700)
    expect(watcher.data.slice(3)).toEqual(expect.arrayContaining([{ type: 'leave', id: 'ann' }, { type: 'leave', id: 'ben' }]))
    expect(watcher.messages).toHaveLength(5)
    expect(await other.presence(`${room}-unwatched`).members()).toEqual([])
    for (const reader of [watcher, unwatched, ...members]) reader.close()
  })

  // @guarantee presence
  it('an outage of the store that is longer than a lease tells nothing, and a server that was cut off alone brings its members back', async () => {
    const create = stores[name]!()
    // Longer than the event loop may stand still on a busy machine.
    const options = { leaseMs: 1_000 }
    const [one, other] = [await startInstance(create(), options), await startInstance(create(), options)]
    const room = `${name}-outage`
    const watcher = await SSEReader.open(`${other.url}/room?room=${room}`)
    // Its list is empty: all members come as changes.
    await watcher.until(({ messages }) => messages.length === 1)
    const members = await Promise.all([SSEReader.open(`${one.url}/room?room=${room}&id=ann`), SSEReader.open(`${other.url}/room?room=${room}&id=ben`)])
    await watcher.until(({ messages }) => messages.length === 3)
    for (const { driver } of [one, other]) driver.fail('presence')
    await pause(1_300)
    // A server that follows no name, and saw no outage, comes first.
    const fresh = await startInstance(create(), options)
    const found = Promise.all([fresh.presence(room).count(), fresh.presence(room).members()])
    for (const { driver } of [one, other]) driver.heal()
    expect(await found).toMatchObject([2, [{}, {}]])
    expect(await other.presence(room).count()).toBe(2)
    await pause(1_300)
    expect(watcher.messages).toHaveLength(3)

    one.driver.fail('presence')
    await watcher.until(({ messages }) => messages.length === 4)
    one.driver.heal()
    await watcher.until(({ messages }) => messages.length === 5)
    expect(watcher.data.slice(3)).toEqual([{ type: 'leave', id: 'ann' }, { type: 'join', member: { id: 'ann' } }])
    for (const reader of [watcher, ...members]) reader.close()
  })

  // @guarantee presence
  it('a deploy of a server with many members sends no join and no leave', async () => {
    const create = stores[name]!()
    const options = { leaveAfterMs: 5_000, leaseMs: 10_000, retryMs: 500, shutdownMs: 1_000 }
    const [one, other] = [await startInstance(create(), options), await startInstance(create(), options)]
    const room = `${name}-deploy`
    const count = name === 'redis' ? 1_000 : 200
    const watcher = await SSEReader.open(`${other.url}/room?room=${room}`)
    // Its list is empty: all members come as changes.
    await watcher.until(({ messages }) => messages.length === 1)
    const url = (server: Instance, index: number) => `${server.url}/room?room=${room}&id=m${index}`
    const members = await inTurns(count, index => openRaw(url(one, index)))
    await watcher.until(() => watchedIds(watcher).size === count, 20_000)
    const before = watcher.messages.length
    const closing = one.context.close()
    const moved = await inTurns(count, async (index) => {
      const retryMs = Number(/"type":"leave","retryMs":(\d+)/.exec(await members[index]!.end)![1])
      await pause(retryMs)
      return openRaw(url(other, index))
    }, count)
    await closing
    expect(await other.presence(room).count()).toBe(count)
    // Members that did not reconnect would leave now.
    await eventually(async () => expect((await other.context.driver.presence!(`nuxt-sse:presence:${room}`, {}, RETENTION)).dueMs).toBeGreaterThan(5_000))
    expect(watcher.messages.slice(before)).toEqual([])
    for (const reader of [watcher, ...members, ...moved]) reader.close()
  }, 120_000)
})

describe('a store that loses acknowledged changes', () => {
  /** Sets the keys of a room back to an earlier state, as a failover to a replica that lags behind does. */
  async function remember(room: string): Promise<() => Promise<void>> {
    const admin = new Redis(redis.url)
    const keys = ['log', 'members', 'meta', 'due'].map(part => `sse:{nuxt-sse:presence:${room}}:${part}`)
    const dumps = await Promise.all(keys.map(key => admin.dumpBuffer(key)))
    return async () => {
      const back = admin.multi()
      for (const [index, key] of keys.entries()) back.restore(key, 600_000, dumps[index]!, 'REPLACE')
      await back.exec()
      admin.disconnect()
    }
  }

  const peopleIn = async (server: Instance, room: string) => (await server.presence(room).members()).map(({ id }) => id).sort()

  it.each([['has a reader', 0], ['has no reader', 1]])('brings back who joined, and forgets who left, where another server %s', async (_, watched) => {
    const options = { leaseMs: 600, leaveAfterMs: 0 }
    const [one, other] = [await startInstance(stores.redis!()(), options), await startInstance(stores.redis!()(), options)]
    const room = `rolled-back-${watched}`
    const open = async (id: string) => {
      const tab = await SSEReader.open(`${one.url}/room?room=${room}&id=${id}`)
      await tab.until(({ messages }) => messages.length > 0)
      return tab
    }
    const watcher = watched ? undefined : new Watcher(room, [other], 0)
    const [ann, ben] = [await open('ann'), await open('ben')]
    const goBack = await remember(room)
    ben.close()
    const cleo = await open('cleo')
    await eventually(async () => expect(await peopleIn(other, room)).toEqual(['ann', 'cleo']))
    await goBack()
    expect(await peopleIn(other, room)).toEqual(['ann', 'ben'])
    await eventually(async () => expect(await peopleIn(other, room)).toEqual(['ann', 'cleo']), 5_000)
    if (watcher) await eventually(() => expect(watcher.list.map(({ id }) => id)).toEqual(['ann', 'cleo']), 10_000)
    watcher?.close()
    for (const tab of [ann, cleo]) tab.close()
  })

  it.each(Object.keys(stores))('brings back its members if the answer to the first step after that was lost (%s)', async (name) => {
    const driver = stores[name]!()()
    let isLost = false
    // A driver repeats a request whose answer was lost, and returns the second answer.
    const repeating: LogDriver = Object.create(driver, {
      presence: { value: async (...args: Parameters<NonNullable<LogDriver['presence']>>) => {
        if (isLost && args[1].holder) {
          isLost = false
          await driver.presence!(...args)
        }
        return driver.presence!(...args)
      } },
    })
    const server = await startInstance(repeating, { leaseMs: 600 })
    const room = `lost-answer-${name}`
    const ann = await SSEReader.open(`${server.url}/room?room=${room}&id=ann`)
    await ann.until(({ messages }) => messages.length > 0)
    isLost = true
    await driver.remove(`nuxt-sse:presence:${room}`)
    await eventually(async () => expect(await peopleIn(server, room)).toEqual(['ann']), 5_000)
    ann.close()
  })
})

interface RawStream {
  /** Resolves with the end of the body. */
  end: Promise<string>
  close(): void
}

/** A client that parses nothing: a thousand of them receive each other's changes. */
function openRaw(url: string): Promise<RawStream> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      const { promise: end, resolve: ended } = Promise.withResolvers<string>()
      let last = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => last = (last + text).slice(-200))
      response.on('close', () => ended(last))
      resolve({ end, close: () => request.destroy() })
    })
    request.on('error', reject)
  })
}

function watchedIds({ data }: SSEReader): Set<string> {
  return new Set((data as SSEPresenceMessage[]).flatMap(message => message.type === 'members' ? message.members.map(({ id }) => id) : message.type === 'join' ? [message.member.id] : []))
}

/** Runs `task` for each index, some at a time. */
async function inTurns<T>(count: number, task: (index: number) => Promise<T>, atOnce = 250): Promise<T[]> {
  const results: T[] = []
  for (let from = 0; from < count; from += atOnce) results.push(...await Promise.all(Array.from({ length: Math.min(atOnce, count - from) }, (_, index) => task(from + index))))
  return results
}

class Channels {
  constructor(private readonly server: Instance, private readonly room: string) {}

  /** All changes of the room. */
  async read(): Promise<{ messages: { data: SSEPresenceMessage }[] }> {
    return await this.server.presence(this.room).read({ after: 'start', limit: 10_000 }) as never
  }
}
