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

/** Failures that happened or could happen: misbehaving factories, evictions at the worst moment, users with few permissions. */

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

/** A client that hands one call of a script, the first or a later one, to `around`. */
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

/** A client that gets its first answer to a read after `meanwhile`, and then continues to read. */
const reading = (meanwhile: () => Promise<unknown>) => intercepting('sseRead', async (read) => {
  const answer = await read()
  await meanwhile()
  return answer
})

/** A client that loses only the answer to its first append. `meanwhile` runs before it repeats the append. */
const losingAnswer = (meanwhile: () => Promise<unknown>) => intercepting('sseAppend', async (append) => {
  await append()
  await meanwhile()
  throw new Error('Connection is closed.')
})

describe('the redis driver: clients of a factory', () => {
  it('an already connected client subscribes again after its first cut', async () => {
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

  it('an ended subscriber connection is replaced, like the connection for commands', async () => {
    const driver = open(settings => new Redis(redis.url, { ...settings, retryStrategy: () => null }))
    await driver.subscribe('ended', () => {})
    await admin.client('KILL', 'TYPE', 'pubsub')
    // Commands keep working all the time.
    await driver.append('ended', [message(1)], RETENTION)
    await eventually(async () => expect(await admin.pubsub('NUMSUB', 'sse:{ended}:live')).toEqual(['sse:{ended}:live', 1]))
  })

  it('new readers can subscribe after the subscriber connection has ended', async () => {
    const driver = open(settings => new Redis(redis.url, { ...settings, retryStrategy: () => null }))
    await driver.subscribe('ended b', () => {})
    await admin.client('KILL', 'TYPE', 'pubsub')
    expect(await by(5_000, driver.subscribe('ended c', () => {}))).toBe('resolved')
  })

  it.each(['append', 'read', 'subscribe'] as const)('a factory that does not answer: %s rejects in time', async (method) => {
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

describe('the redis driver: rejections and their time', () => {
  it('a publish that rejects because notices are forbidden (the default of a new user in Redis 7) appends nothing', async () => {
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~sse:*', '+@all')
    const driver = open(settings => new Redis(redis.url, { ...settings, username: 'app', password: 'secret' }))
    const outcome = await by(3_000, driver.append('forbidden', [message(1)], RETENTION))
    const kept = (await open().read('forbidden', 0, ALL)).entries.length
    expect({ outcome, kept }).toEqual(outcome === 'resolved' ? { outcome, kept: 1 } : { outcome: 'rejected', kept: 0 })
  })

  it('a publish rejects within timeoutMs, also when a later one shares its call', async () => {
    const driver = open(undefined, 1_000)
    await driver.append('slow', [message(0)], RETENTION)
    redis.pause()
    const first = by(10_000, driver.append('slow', [message(1)], RETENTION))
    await turn()
    const second = by(10_000, driver.append('slow', [message(2)], RETENTION))
    // The case under test: a publish that arrives when the time of the second is nearly up.
    await sleep(850)
    let isThirdOver = false
    const third = by(10_000, driver.append('slow', [message(3)], RETENTION)).finally(() => isThirdOver = true)
    expect(await second).toBe('rejected')
    // With the third, it would have waited for as long as that.
    await turn()
    expect(isThirdOver).toBe(false)
    await Promise.all([first, third])
  })

  // @guarantee bounded
  it('the queue for Redis is bounded, also across many channels', async () => {
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

  // @guarantee bounded
  it('the queue for Redis is bounded by its size, too, and refused or failed requests no longer count', async () => {
    const driver = open(undefined, 1_000)
    await driver.append('large', [message(0)], RETENTION)
    redis.pause()
    const large = message('x'.repeat(2 ** 24))
    const outcomes = await Promise.all(Array.from({ length: 12 }, (_, index) => driver.append(`large ${index}`, [large], RETENTION).then(() => 'kept', error => error.cause.message)))
    expect(outcomes.filter(outcome => /already waiting for Redis/.test(outcome))).toHaveLength(5)
    redis.resume()
    await vi.waitFor(async () => expect((await driver.append('large', [message('x'.repeat(2 ** 20), 'key')], RETENTION)).offsets).toEqual([2]), { timeout: 15_000 })
  }, 20_000)

  it('messages published in one tick reach Redis in calls of a bounded size, in order', async () => {
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
    // One call for each of the first three, one for the large one, and one for the last half and the rest.
    expect(lengths).toHaveLength(5)
    expect(lengths.filter(length => length > 1_100_000)).toHaveLength(1)
  })

  it('requests that wait for Redis share their listeners: removing one of thousands would search them all', async () => {
    let client!: Redis
    const driver = open(settings => client = new Redis('redis://127.0.0.1:1', settings), 300)
    const waiting = Array.from({ length: 1_000 }, (_, index) => driver.read(`waits ${index}`, 0, ALL).catch(error => error.code))
    await turn()
    expect(client.listenerCount('ready')).toBeLessThan(10)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['DRIVER_UNAVAILABLE']))
  })

  it('a publish does not wait forever when the clock is set back', async () => {
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

describe('the redis driver: an append whose time is up before its answer arrives', () => {
  const TIMEOUT_MS = 300

  const dataOf = async (channel: string) => (await open().read(channel, 0, ALL)).entries.map(({ data }) => JSON.parse(unpackData(data)))

  it('is acknowledged if Redis appended it while this process was blocked', async () => {
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

  it('is acknowledged if Redis appended it and only the answer was lost', async () => {
    const driver = open(intercepting('sseAppend', async (append) => {
      await append()
      return new Promise(() => {})
    }), TIMEOUT_MS)
    expect(await driver.append('lost', [message(1)], RETENTION)).toMatchObject({ offsets: [1] })
    expect(await dataOf('lost')).toEqual([1])
  })

  it('is refused if it did not reach Redis, and the check for it does not append it', async () => {
    const driver = open(intercepting('sseAppend', () => new Promise(() => {})), TIMEOUT_MS)
    await expect(driver.append('never', [message(1)], RETENTION)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    expect(await dataOf('never')).toEqual([])
    expect(await driver.append('never', [message(2)], RETENTION)).toMatchObject({ offsets: [1] })
  })
})

describe('the redis driver: retention and eviction', () => {
  it('an append with a lost answer and a lost log (meta evicted) returns no position of the next epoch', async () => {
    const driver = open(losingAnswer(() => admin.del('sse:{evicted}:meta')))
    const result = await driver.append('evicted', [message('precious')], RETENTION)
    const page = await driver.read('evicted', 0, ALL)
    expect(page.epoch).not.toBe(result.epoch)
  })

  it('an append with a lost answer and a removed channel returns no position of the next epoch', async () => {
    const other = open()
    const driver = open(losingAnswer(() => other.remove('removed')))
    const { epoch, offsets } = await driver.append('removed', [message(1), message(2)], RETENTION)
    // Another process publishes, and a reader that continues from the returned position must receive its message.
    await other.append('removed', [message('a'), message('b')], RETENTION)
    const page = await other.read('removed', 0, ALL)
    const unseen = page.epoch === epoch ? page.entries.filter(({ offset }) => offset <= offsets.at(-1)!).map(({ data }) => JSON.parse(unpackData(data))) : []
    expect(unseen.filter(data => data === 'a' || data === 'b')).toEqual([])
  })

  it.each(['removed', 'trimmed', 'evicted'] as const)('a log that is %s during the read of a long page: the page ends before that, and has no message of another epoch', async (what) => {
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
    // The next read has no interruption, and returns the current log.
    const next = await driver.read(channel, texts.length, ALL)
    if (what === 'removed') expect(next.epoch).not.toBe(page.epoch)
    else expect(next).toMatchObject({ epoch: page.epoch, first: what === 'trimmed' ? 391 : 401 })
    expect((await driver.read(channel, 0, { messages: 1_000, bytes: 1_000_000 })).entries).toHaveLength(what === 'removed' ? 400 : what === 'trimmed' ? 410 : 0)
  })

  it('a key whose message was evicted with the log does not suppress a new message', async () => {
    const driver = open()
    await driver.append('swallow', [message('a', 'K')], RETENTION)
    await admin.del('sse:{swallow}:log')
    const { offsets } = await driver.append('swallow', [message('a', 'K')], RETENTION)
    expect((await driver.read('swallow', 0, ALL)).entries.map(({ offset }) => offset)).toEqual(offsets)
  })

  it('a key belongs to its newest message after the keys were evicted', async () => {
    const driver = open()
    const two = { ...RETENTION, maxMessages: 2 }
    await driver.append('forgets', [message('a', 'K')], two)
    await admin.del('sse:{forgets}:keys')
    expect((await driver.append('forgets', [message('a', 'K')], two)).offsets).toEqual([2])
    // Drops offset 1, which also had the key.
    await driver.append('forgets', [message('b')], two)
    expect((await driver.append('forgets', [message('a', 'K')], two)).offsets).toEqual([2])
  })

  it('an unreadable notice does not end the process', async () => {
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

  it('logs and errors contain neither passwords nor published data', async () => {
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
    // A cluster gives the error of its last node.
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

  it('a replica that refuses writes is logged as a replica, once, and not as an outage with each attempt', async () => {
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
    // On a busy machine, the log may have an earlier outage for other reasons.
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

  it('a cluster node that is configured as a single Redis is logged', async () => {
    // The default, 10,000 above the port, may be in use by a connection of any process.
    const node = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())] })
    const reports: unknown[] = []
    const driver = createRedisDriver({ createClient: settings => new Redis(node.url, settings), timeoutMs: 1_000, report: (_, cause) => void reports.push((cause as Error).message) }, RETENTION)
    drivers.push(driver)
    expect(await by(5_000, driver.append('node', [message(1)], RETENTION))).toBe('rejected')
    // A loaded machine may also be too slow for the first answer.
    expect(reports.filter(text => String(text).startsWith('CLUSTERDOWN'))).toHaveLength(1)
    await node.stop()
  })

  it('a failing subscription is logged', async () => {
    await admin.call('ACL', 'SETUSER', 'deaf', 'on', '>secret', '~*', '&*', '+@all', '-subscribe')
    const reports: string[] = []
    const driver = open(settings => new Redis(redis.url, { ...settings, username: 'deaf', password: 'secret' }), 500, reports)
    expect(await by(5_000, driver.subscribe('deaf', () => {}))).toBe('rejected')
    expect(reports).toEqual(['Redis rejected a command.'])
  })

  it('a failing publish (OOM, NOPERM, …) is logged', async () => {
    const reports: string[] = []
    await admin.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~other:*', '&*', '+@all')
    const driver = open(settings => new Redis(redis.url, { ...settings, username: 'reader', password: 'secret' }), 500, reports)
    expect(await by(2_000, driver.append('denied', [message(1)], RETENTION))).toBe('rejected')
    expect(await by(2_000, driver.read('denied', 0, ALL))).toBe('rejected')
    expect(reports.length).toBeGreaterThan(0)
  })
})
