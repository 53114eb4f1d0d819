import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { Cluster, Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { CreateRedisClient } from '../../src/runtime/server/drivers/redis/connection/client'
import type { LogNotice } from '../../src/runtime/server/drivers/types'
import { freePort } from '../support/built-server'
import { startRedis } from '../support/redis'
import type { TestRedis } from '../support/redis'
import { eventually } from '../support/conditions'

/** What was once broken, or could be: factories that misbehave, what is evicted at the worst moment, users who may do little. */

const RETENTION = { maxMessages: 1_000, maxAgeMs: 60_000, maxBytes: 67_108_864 }
const ALL = { messages: 1_000, bytes: 1_000_000 }
const message = (data: unknown, key?: string) => ({ data: JSON.stringify(data), key })

let redis: TestRedis
let admin: Redis
const drivers: ReturnType<typeof createRedisDriver>[] = []
beforeAll(async () => {
  redis = await startRedis()
  admin = new Redis(redis.url)
})
afterEach(async () => {
  vi.restoreAllMocks()
  redis.resume()
  await Promise.race([Promise.all(drivers.splice(0).map(driver => driver.close())), sleep(1_000)])
})
afterAll(async () => {
  admin.disconnect()
  await redis.stop()
})

function open(createClient: CreateRedisClient = settings => new Redis(redis.url, settings), timeoutMs = 1_000, reports: string[] = []) {
  const driver = createRedisDriver({ createClient, timeoutMs, report: text => void reports.push(text) }, RETENTION)
  drivers.push(driver)
  return driver
}

const turn = () => new Promise(resolve => setImmediate(resolve))

/** Settles as 'late' if `promise` has not settled by then. */
const by = <T>(ms: number, promise: Promise<T>) => Promise.race([promise.then(() => 'resolved', () => 'rejected'), sleep(ms).then(() => 'late')])

/** A client of which one call of a script, the first or a later one, is `around`'s. */
function intercepting(script: 'sseAppend' | 'sseRead', around: (call: () => Promise<string[]>) => Promise<string[]>, number = 1): CreateRedisClient {
  return (settings: RedisOptions) => {
    const client = new Redis(redis.url, settings) as Redis & Record<typeof script, (...args: unknown[]) => Promise<string[]>>
    const define = client.defineCommand.bind(client)
    let calls = 0
    client.defineCommand = (name, definition) => {
      define(name, definition)
      if (name !== script) return
      const real = client[script].bind(client)
      client[script] = (...args) => ++calls === number ? around(() => real(...args)) : real(...args)
    }
    return client
  }
}

/** A client that gets its first answer to a read when something has happened `meanwhile`, and goes on reading then. */
const reading = (meanwhile: () => Promise<unknown>) => intercepting('sseRead', async (read) => {
  const answer = await read()
  await meanwhile()
  return answer
})

/** A client whose first answer to an append is lost, and only the answer; `meanwhile` is what happens until it asks again. */
const losingAnswer = (meanwhile: () => Promise<unknown>) => intercepting('sseAppend', async (append) => {
  await append()
  await meanwhile()
  throw new Error('Connection is closed.')
})

describe('the redis driver: clients that a factory makes', () => {
  it('a client that is already connected is subscribed again after its first cut', async () => {
    const driver = open(async (settings) => {
      const client = new Redis(redis.url, settings)
      await client.connect()
      return client
    })
    const notices: LogNotice[] = []
    await driver.subscribe('connected', notice => void notices.push(notice))
    await admin.client('KILL', 'TYPE', 'pubsub')
    await eventually(() => expect(notices).toContainEqual({ type: 'changed' }))
    expect(await admin.pubsub('NUMSUB', 'sse:{connected}:live')).toEqual(['sse:{connected}:live', 1])
  })

  it('a subscriber connection that has ended is replaced, as that for commands is', async () => {
    const driver = open(settings => new Redis(redis.url, { ...settings, retryStrategy: () => null }))
    await driver.subscribe('ended', () => {})
    await admin.client('KILL', 'TYPE', 'pubsub')
    // Commands work all the time.
    await driver.append('ended', [message(1)], RETENTION)
    await eventually(async () => expect(await admin.pubsub('NUMSUB', 'sse:{ended}:live')).toEqual(['sse:{ended}:live', 1]))
  })

  it('and newcomers can subscribe', async () => {
    const driver = open(settings => new Redis(redis.url, { ...settings, retryStrategy: () => null }))
    await driver.subscribe('ended b', () => {})
    await admin.client('KILL', 'TYPE', 'pubsub')
    expect(await by(5_000, driver.subscribe('ended c', () => {}))).toBe('resolved')
  })

  it.each(['append', 'read', 'subscribe'] as const)('a factory that does not answer: %s is rejected in time', async (method) => {
    const driver = open(() => new Promise(() => {}), 300)
    const asked: Promise<unknown> = method === 'append' ? driver.append('x', [message(1)], RETENTION) : method === 'read' ? driver.read('x', 0, ALL) : driver.subscribe('x', () => {})
    expect(await by(2_000, asked)).toBe('rejected')
  })

  it('a factory that does not answer: close resolves in time', async () => {
    const driver = open(() => new Promise(() => {}), 300)
    driver.append('x', [message(1)], RETENTION).catch(() => {})
    await turn()
    expect(await by(2_000, driver.close())).toBe('resolved')
  })
})

describe('the redis driver: what is rejected, and when', () => {
  it('a publish that is rejected because notices are forbidden (the default of a new user in Redis 7) has not happened', async () => {
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~sse:*', '+@all')
    const driver = open(settings => new Redis(redis.url, { ...settings, username: 'app', password: 'secret' }))
    const outcome = await by(3_000, driver.append('forbidden', [message(1)], RETENTION))
    const kept = (await open().read('forbidden', 0, ALL)).entries.length
    expect({ outcome, kept }).toEqual(outcome === 'resolved' ? { outcome, kept: 1 } : { outcome: 'rejected', kept: 0 })
  })

  it('a publish is rejected within timeoutMs, also when a later one shares its call', async () => {
    const driver = open(undefined, 1_000)
    await driver.append('slow', [message(0)], RETENTION)
    redis.pause()
    const first = by(10_000, driver.append('slow', [message(1)], RETENTION))
    await turn()
    const begun = performance.now()
    const second = by(10_000, driver.append('slow', [message(2)], RETENTION)).then(outcome => ({ outcome, ms: performance.now() - begun }))
    // This is what is tested: one that comes when the time of the second is nearly up.
    await sleep(850)
    const third = by(10_000, driver.append('slow', [message(3)], RETENTION))
    const { outcome, ms } = await second
    await Promise.all([first, third])
    expect(outcome).toBe('rejected')
    expect(ms).toBeLessThan(1_300)
  })

  it('what waits for Redis is bounded, also when it is for many channels', async () => {
    const driver = open(undefined, 2_000)
    await driver.append('many', [message(0)], RETENTION)
    redis.pause()
    let refused = 0
    const all: Promise<unknown>[] = []
    for (let round = 0; round < 4; round++) {
      for (let n = 0; n < 5_000; n++) all.push(driver.append(`many ${round} ${n}`, [message(n)], RETENTION).catch(() => refused++))
      await turn()
    }
    expect(refused).toBeGreaterThanOrEqual(10_000)
    redis.resume()
    await Promise.all(all)
  })

  it('what waits for Redis is bounded by its size, too; and nothing that was refused, or failed, counts any more', async () => {
    const driver = open(undefined, 1_000)
    await driver.append('large', [message(0)], RETENTION)
    redis.pause()
    const large = message('x'.repeat(2 ** 24))
    const outcomes = await Promise.all(Array.from({ length: 12 }, (_, index) => driver.append(`large ${index}`, [large], RETENTION).then(() => 'kept', error => error.cause.message)))
    expect(outcomes.filter(outcome => /already waiting for Redis/.test(outcome))).toHaveLength(5)
    redis.resume()
    await vi.waitFor(async () => expect((await driver.append('large', [message('x'.repeat(2 ** 20), 'key')], RETENTION)).offsets).toEqual([2]), { timeout: 15_000 })
  }, 20_000)

  it('what is published in one tick goes to Redis in calls of a bounded size, in order', async () => {
    const lengths: number[] = []
    const driver = open((settings) => {
      const client = new Redis(redis.url, settings) as Redis & { sseAppend(...args: unknown[]): Promise<string[]> }
      const define = client.defineCommand.bind(client)
      client.defineCommand = (name, definition) => {
        define(name, definition)
        if (name !== 'sseAppend') return
        const real = client.sseAppend.bind(client)
        client.sseAppend = (...args) => {
          lengths.push(args.join('').length)
          return real(...args)
        }
      }
      return client
    }, 10_000)
    const half = message('x'.repeat(2 ** 19))
    const large = message('x'.repeat(2 ** 22))
    const appended = await Promise.all([half, half, half, large, half, ...Array.from({ length: 400 }, (_, index) => message(index))].map(entry => driver.append('sized', [entry], RETENTION)))
    expect(appended.map(({ offsets }) => offsets[0])).toEqual(appended.map((_, index) => index + 1))
    // One, one, one, the large one, and the rest with the last half.
    expect(lengths).toHaveLength(5)
    expect(lengths.filter(length => length > 1_100_000)).toHaveLength(1)
  })

  it('who waits for Redis has no listener of their own: of thousands, each would be looked for among all', async () => {
    let client!: Redis
    const driver = open(settings => client = new Redis('redis://127.0.0.1:1', settings), 300)
    const waiting = Array.from({ length: 1_000 }, (_, index) => driver.read(`waits ${index}`, 0, ALL).catch(error => error.code))
    await turn()
    expect(client.listenerCount('ready')).toBeLessThan(10)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['DRIVER_UNAVAILABLE']))
  })

  it('a clock that is set back does not make a publish wait for ever', async () => {
    const driver = open(undefined, 500)
    await driver.append('clock', [message(0)], RETENTION)
    redis.pause()
    const asked = by(4_000, driver.append('clock', [message(1)], RETENTION))
    await turn()
    const now = Date.now.bind(Date)
    vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000)
    expect(await asked).toBe('rejected')
  })
})

describe('the redis driver: an append whose time is up before its answer is there', () => {
  const TIMEOUT_MS = 300

  const dataOf = async (channel: string) => (await open().read(channel, 0, ALL)).entries.map(({ data }) => JSON.parse(unpackData(data)))

  it('is acknowledged, if Redis has done it while this process was held up', async () => {
    const driver = open(intercepting('sseAppend', (append) => {
      const answer = append()
      const until = performance.now() + 3 * TIMEOUT_MS
      while (performance.now() < until);
      return answer
    }, 2), TIMEOUT_MS)
    await driver.append('held up', [message(1)], RETENTION)
    expect(await driver.append('held up', [message(2)], RETENTION)).toMatchObject({ offsets: [2] })
    expect(await dataOf('held up')).toEqual([1, 2])
  })

  it('is acknowledged, if Redis has done it and only the answer was lost', async () => {
    const driver = open(intercepting('sseAppend', async (append) => {
      await append()
      return new Promise(() => {})
    }), TIMEOUT_MS)
    expect(await driver.append('lost', [message(1)], RETENTION)).toMatchObject({ offsets: [1] })
    expect(await dataOf('lost')).toEqual([1])
  })

  it('is refused, if it did not reach Redis, and does not happen when it is asked about', async () => {
    const driver = open(intercepting('sseAppend', () => new Promise(() => {})), TIMEOUT_MS)
    await expect(driver.append('never', [message(1)], RETENTION)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    expect(await dataOf('never')).toEqual([])
    expect(await driver.append('never', [message(2)], RETENTION)).toMatchObject({ offsets: [1] })
  })
})

describe('the redis driver: what is kept', () => {
  it('an append whose answer was lost, and its log as well (meta evicted), does not give a position of the next life', async () => {
    const driver = open(losingAnswer(() => admin.del('sse:{evicted}:meta')))
    const result = await driver.append('evicted', [message('precious')], RETENTION)
    const page = await driver.read('evicted', 0, ALL)
    expect(page.epoch).not.toBe(result.epoch)
  })

  it('an append whose answer was lost, and whose channel was removed, does not give a position of the next life', async () => {
    const other = open()
    const driver = open(losingAnswer(() => other.remove('removed')))
    const { epoch, offsets } = await driver.append('removed', [message(1), message(2)], RETENTION)
    // Somebody else publishes; who goes on from the position that was given must hear of it.
    await other.append('removed', [message('a'), message('b')], RETENTION)
    const page = await other.read('removed', 0, ALL)
    const unseen = page.epoch === epoch ? page.entries.filter(({ offset }) => offset <= offsets.at(-1)!).map(({ data }) => JSON.parse(unpackData(data))) : []
    expect(unseen.filter(data => data === 'a' || data === 'b')).toEqual([])
  })

  it.each(['removed', 'trimmed', 'evicted'] as const)('a log that is %s while a long page of it is read: the page ends before, and has no message of another life', async (what) => {
    const channel = `long ${what}`
    const other = open()
    const messages = (text: string) => Array.from({ length: 400 }, (_, index) => message(`${text} ${index + 1} ${'x'.repeat(100)}`))
    await other.append(channel, messages('old'), RETENTION)
    const driver = open(reading(async () => {
      if (what === 'trimmed') return other.append(channel, messages('new'), { ...RETENTION, maxMessages: 410 })
      if (what === 'evicted') return admin.del(`sse:{${channel}}:log`)
      await other.remove(channel)
      return other.append(channel, messages('new'), RETENTION)
    }))
    const page = await driver.read(channel, 0, ALL)
    expect(page).toMatchObject({ first: 1, last: 400 })
    const texts = page.entries.map(({ data }) => JSON.parse(unpackData(data)).slice(0, -101))
    expect(texts.length).toBeGreaterThan(0)
    expect(texts.length).toBeLessThan(400)
    expect(texts).toEqual(Array.from({ length: texts.length }, (_, index) => `old ${index + 1}`))
    // Nothing happens now, and it is told what there is.
    const next = await driver.read(channel, texts.length, ALL)
    if (what === 'removed') expect(next.epoch).not.toBe(page.epoch)
    else expect(next).toMatchObject({ epoch: page.epoch, first: what === 'trimmed' ? 391 : 401 })
    expect((await driver.read(channel, 0, { messages: 1_000, bytes: 1_000_000 })).entries).toHaveLength(what === 'removed' ? 400 : what === 'trimmed' ? 410 : 0)
  })

  it('a key whose message was evicted with the log does not swallow its message', async () => {
    const driver = open()
    await driver.append('swallow', [message('a', 'K')], RETENTION)
    await admin.del('sse:{swallow}:log')
    const { offsets } = await driver.append('swallow', [message('a', 'K')], RETENTION)
    expect((await driver.read('swallow', 0, ALL)).entries.map(({ offset }) => offset)).toEqual(offsets)
  })

  it('a key is remembered with the message that has it now, after the keys were evicted', async () => {
    const driver = open()
    const two = { ...RETENTION, maxMessages: 2 }
    await driver.append('forgets', [message('a', 'K')], two)
    await admin.del('sse:{forgets}:keys')
    expect((await driver.append('forgets', [message('a', 'K')], two)).offsets).toEqual([2])
    // Drops offset 1, which had the key too.
    await driver.append('forgets', [message('b')], two)
    expect((await driver.append('forgets', [message('a', 'K')], two)).offsets).toEqual([2])
  })

  it('a notice that cannot be read does not end the process', async () => {
    const driver = open()
    const notices: LogNotice[] = []
    await driver.subscribe('garbage', notice => void notices.push(notice))
    const before = process.listeners('uncaughtException')
    const crashes: unknown[] = []
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', error => void crashes.push(error))
    for (const garbage of ['', 'epoch 1 0 1 nonsense', 'epoch 1 0 1 0\n"x"', 'epoch one 0 1 1\n"x"']) await admin.publish('sse:{garbage}:live', garbage)
    await eventually(() => expect(notices).toHaveLength(4))
    process.removeAllListeners('uncaughtException')
    for (const listener of before) process.on('uncaughtException', listener)
    expect(crashes).toEqual([])
    expect(notices.every(({ type }) => type === 'changed')).toBe(true)
  })

  it('neither the log nor an error has a password in it, or what was published', async () => {
    await admin.call('ACL', 'SETUSER', 'quiet', 'on', '>right', '~other:*', '&*', '+@all')
    const said: unknown[] = []
    const connect = (password: string) => createRedisDriver({
      createClient: settings => new Redis(redis.url, { ...settings, username: 'quiet', password }),
      timeoutMs: 500,
      report: (text, cause) => void said.push(text, cause),
    }, RETENTION)
    for (const password of ['wrong-hush', 'right']) {
      const driver = connect(password)
      drivers.push(driver)
      said.push(await driver.append('denied', [message('hush')], RETENTION).catch(error => error))
    }
    // Of a cluster, it is the error of its last node.
    const cluster = createRedisDriver({
      createClient: settings => new Cluster([{ host: '127.0.0.1', port: redis.port }], { lazyConnect: true, redisOptions: { ...settings, username: 'quiet', password: 'wrong-hush' } }),
      timeoutMs: 500,
      report: (text, cause) => void said.push(text, cause),
    }, RETENTION)
    drivers.push(cluster)
    said.push(await cluster.append('denied', [message('hush')], RETENTION).catch(error => error))
    const text = inspect(said, { depth: Infinity })
    expect(text).toContain('WRONGPASS')
    expect(text).toContain('NOPERM')
    expect(text).not.toContain('hush')
  })

  it('a replica, which refuses to write, is said to be one, once, and not to be away and back with each attempt', async () => {
    const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(redis.port)] })
    const reports: unknown[][] = []
    const driver = createRedisDriver({ createClient: settings => new Redis(replica.url, settings), timeoutMs: 1_000, report: (text, cause) => void reports.push([text, (cause as Error | undefined)?.message]) }, RETENTION)
    drivers.push(driver)
    const refused = () => reports.filter(([, cause]) => String(cause).startsWith('READONLY'))
    const fails = () => expect(driver.append('replica', [message(1)], RETENTION)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    await vi.waitFor(async () => {
      await fails()
      expect(refused()).toHaveLength(1)
    }, { timeout: 10_000 })
    // Before that, on a busy machine, it may have been away and back for other reasons.
    const said = reports.length
    for (let n = 0; n < 3; n++) await fails()
    expect(refused()).toHaveLength(1)
    expect(reports.slice(said)).toEqual([])
    const primary = new Redis(replica.url)
    await primary.replicaof('NO', 'ONE')
    primary.disconnect()
    await vi.waitFor(() => driver.append('replica', [message(1)], RETENTION), { timeout: 10_000 })
    await replica.stop()
  }, 20_000)

  it('a node of a cluster that is taken for all of it is logged', async () => {
    // Its default, 10,000 above, may be in use by a connection of any process.
    const node = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())] })
    const reports: unknown[] = []
    const driver = createRedisDriver({ createClient: settings => new Redis(node.url, settings), timeoutMs: 1_000, report: (_, cause) => void reports.push((cause as Error).message) }, RETENTION)
    drivers.push(driver)
    expect(await by(5_000, driver.append('node', [message(1)], RETENTION))).toBe('rejected')
    // A machine with other work may also be too slow for the first answer.
    expect(reports.filter(text => String(text).startsWith('CLUSTERDOWN'))).toHaveLength(1)
    await node.stop()
  })

  it('that nothing can be subscribed to is logged', async () => {
    await admin.call('ACL', 'SETUSER', 'deaf', 'on', '>secret', '~*', '&*', '+@all', '-subscribe')
    const reports: string[] = []
    const driver = open(settings => new Redis(redis.url, { ...settings, username: 'deaf', password: 'secret' }), 500, reports)
    expect(await by(5_000, driver.subscribe('deaf', () => {}))).toBe('rejected')
    expect(reports).toEqual(['Redis rejected a command.'])
  })

  it('that nothing can be published (OOM, NOPERM, …) is logged', async () => {
    const reports: string[] = []
    await admin.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~other:*', '&*', '+@all')
    const driver = open(settings => new Redis(redis.url, { ...settings, username: 'reader', password: 'secret' }), 500, reports)
    expect(await by(2_000, driver.append('denied', [message(1)], RETENTION))).toBe('rejected')
    expect(await by(2_000, driver.read('denied', 0, ALL))).toBe('rejected')
    expect(reports.length).toBeGreaterThan(0)
  })
})
