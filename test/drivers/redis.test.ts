import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Redis } from 'ioredis'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import { readState } from '../../src/runtime/server/drivers/capabilities'
import { Hub } from '../../src/runtime/server/hub/hub'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { Run } from '../../src/runtime/server/hub/run'
import { SECRET_LENGTH, createEpoch, parsePosition, rootOf } from '../../src/runtime/shared/position'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'
import { describeDriver } from './suite'
import { eventually } from '../support/conditions'
import { watchedDriver } from '../support/drivers'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 60_000, maxBytes: 67_108_864 }

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

describeDriver('redis', () => ({ driver: createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION) }))

describe('the redis driver: a Redis that lost writes', () => {
  let admin: Redis
  const drivers: ReturnType<typeof createRedisDriver>[] = []
  const open = () => {
    const driver = createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION)
    drivers.push(driver)
    return driver
  }
  beforeEach(() => {
    admin = new Redis(redis.url)
  })
  afterEach(async () => {
    admin.disconnect()
    await Promise.all(drivers.splice(0).map(driver => driver.close()))
  })

  const keysOf = (channel: string) => ['log', 'meta', 'keys'].map(part => `sse:{${channel}}:${part}`)

  /** Returns a function that sets the channel back to its present state, as a failover to a lagging replica does. */
  async function remember(channel: string): Promise<() => Promise<void>> {
    const dumps = await Promise.all(keysOf(channel).map(async key => [key, await admin.dumpBuffer(key)] as const))
    return async () => {
      // In one transaction: a reader in between would find no log, and create another.
      const emptied = admin.multi().del(...keysOf(channel), ...await admin.keys(`sse:{${channel}}:w:*`))
      await dumps.reduce((pipeline, [key, dump]) => dump ? pipeline.restore(key, 60_000, dump) : pipeline, emptied).exec()
    }
  }
  const messages = (...data: (number | string)[]) => data.map(item => ({ data: JSON.stringify(item) }))

  // @guarantee failover
  it('a publisher that is ahead of the log begins a new epoch, and repeats no offset', async () => {
    const driver = open()
    await driver.append('writer', messages(1, 2, 3), RETENTION)
    const goBack = await remember('writer')
    const { epoch } = await driver.append('writer', messages(4, 5), RETENTION)
    await goBack()
    const next = await driver.append('writer', messages(6), RETENTION)
    expect(next.epoch).not.toBe(epoch)
  })

  it('a secret epoch passes its secret part on to the epochs that follow', async () => {
    const driver = open()
    const secret = createEpoch(SECRET_LENGTH)
    await driver.lease('secret', { type: 'acquire', token: 'a', leaseMs: 60_000, onLost: 'fail', epoch: secret }, RETENTION)
    const epochs = [secret]
    for (const _ of [1, 2]) {
      const goBack = await remember('secret')
      for (const data of messages(4, 5)) expect((await driver.append('secret', [data], RETENTION)).epoch).toBe(epochs.at(-1))
      await goBack()
      const { epoch } = await driver.append('secret', messages(6), RETENTION)
      expect(epochs).not.toContain(epoch)
      expect(rootOf(epoch)).toBe(secret)
      expect(parsePosition(`${epoch}.1`)).toEqual({ epoch, offset: 1 })
      epochs.push(epoch)
    }
    expect(new Set(epochs.map(({ length }) => length)).size).toBe(2)
  })

  // @guarantee failover
  it('a publisher detects that another process filled the hole with other messages', async () => {
    const driver = open()
    await driver.append('filled', messages(1, 2, 3), RETENTION)
    const goBack = await remember('filled')
    const { epoch } = await driver.append('filled', messages(4, 5), RETENTION)
    await goBack()
    // A process without earlier state cannot see it.
    expect(await open().append('filled', messages('a', 'b', 'c'), RETENTION)).toEqual({ epoch, offsets: [4, 5, 6] })
    expect((await driver.append('filled', messages(6), RETENTION)).epoch).not.toBe(epoch)
  })

  // @guarantee failover
  it.each([['as many', ['a', 'b']], ['more', ['a', 'b', 'c']], ['fewer', ['a']]])('readers of lost messages get a gap at once, when %s messages have taken their place', async (name, others) => {
    const channel = `reader ${name}`
    const driver = open()
    const hub = new Hub({ ...driver, recheckMs: undefined })
    await driver.append(channel, messages(1, 2, 3), RETENTION)
    const goBack = await remember(channel)
    const { epoch } = await driver.append(channel, messages(4, 5), RETENTION)
    const reader = await hub.reader(channel, { kind: 'at', epoch, offset: 5 }, 'now')
    await goBack()
    // Another process publishes, without any earlier state.
    await open().append(channel, messages(...others), RETENTION)
    await eventually(async () => expect(await reader.step()).toMatchObject({ type: 'gap', gap: { reason: 'epoch', missed: null } }))
    const step = await reader.step()
    expect(step).toMatchObject({ type: 'messages' })
    expect((step as { run: Run }).run.entries.map(({ data }) => JSON.parse(unpackData(data)))).toEqual([1, 2, 3, ...others])
    reader.close()
  })

  // @guarantee failover
  it('the next message reveals a log that went back and grew to its old length while the subscription was down', async () => {
    const driver = open()
    const hub = new Hub({ ...driver, recheckMs: undefined, subscribe: (channel, listener) => driver.subscribe(channel, (notice) => {
      if (notice.type === 'append' && notice.entries[0]!.offset > 5) listener(notice)
    }) })
    await driver.append('deaf', messages(1, 2, 3), RETENTION)
    const goBack = await remember('deaf')
    const { epoch } = await driver.append('deaf', messages(4, 5), RETENTION)
    const reader = await hub.reader('deaf', { kind: 'at', epoch, offset: 5 }, 'now')
    await goBack()
    const stranger = open()
    await stranger.append('deaf', messages('a', 'b'), RETENTION)
    expect(await stranger.append('deaf', messages('c'), RETENTION)).toEqual({ epoch, offsets: [6] })
    await eventually(async () => expect(await reader.step()).toMatchObject({ type: 'gap', gap: { reason: 'epoch' } }))
    expect(((await reader.step()) as { run: Run }).run.entries.map(({ data }) => JSON.parse(unpackData(data)))).toEqual([1, 2, 3, 'a', 'b', 'c'])
    reader.close()
  })

  // @guarantee failover
  it('the next read of a log that went back reveals the loss without a notice', async () => {
    const driver = open()
    const hub = new Hub({ ...driver, recheckMs: 50 })
    await driver.append('silent', messages(1, 2, 3), RETENTION)
    const goBack = await remember('silent')
    const { epoch } = await driver.append('silent', messages(4, 5), RETENTION)
    const reader = await hub.reader('silent', { kind: 'at', epoch, offset: 5 }, 'now')
    await goBack()
    await eventually(async () => expect(await reader.step()).toMatchObject({ type: 'gap', gap: { reason: 'epoch' } }))
    reader.close()
  })

  // @guarantee failover
  it('after an outage of Redis, the process checks the logs it knows before the next publish', async () => {
    const driver = open()
    await driver.append('back', messages(1, 2, 3), RETENTION)
    const goBack = await remember('back')
    const { epoch } = await driver.append('back', messages(4, 5), RETENTION)
    await goBack()
    await admin.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await eventually(async () => expect(await admin.hget('sse:{back}:meta', 'epoch')).not.toBe(epoch))
  })

  it('a stream that is ahead of its metadata is not trusted, and does not block the channel', async () => {
    const driver = open()
    const { epoch } = await driver.append('torn', messages(1, 2, 3, 4, 5), RETENTION)
    await admin.hset('sse:{torn}:meta', 'last', '3')
    const next = await open().append('torn', [{ data: '6' }, { data: '7' }], RETENTION)
    expect(next.epoch).not.toBe(epoch)
    const page = await driver.read('torn', 0, { messages: 10, bytes: 1_000 })
    expect(page).toMatchObject({ epoch: next.epoch, first: 4, last: 5, entries: [{ offset: 4, data: '6' }, { offset: 5, data: '7' }] })
  })

  it('a forged position changes nothing', async () => {
    const driver = open()
    const { epoch } = await driver.append('stranger', messages(1, 2, 3, 4, 5), RETENTION)
    expect((await driver.read('stranger', 1_000, { messages: 10, bytes: 1_000 })).epoch).toBe(epoch)
  })
})

describe('the redis driver: traffic on its connections', () => {
  it('appends of one tick to one channel are one call, with an answer for each', async () => {
    const admin = new Redis(redis.url)
    const driver = createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION)
    await driver.append('warm', [{ data: '0' }], RETENTION)
    const calls = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
    const before = await calls()
    const answers = await Promise.all(Array.from({ length: 64 }, (_, index) => driver.append('tick', [{ data: String(index) }], RETENTION)))
    expect(answers.map(({ offsets }) => offsets[0])).toEqual(Array.from({ length: 64 }, (_, index) => index + 1))
    expect(await calls() - before).toBe(1)
    admin.disconnect()
    await driver.close()
  })

  it.each([['as long as the others', 1], ['a hundred times as long', 500], ['as long as can be', 500_000]])('a page of short messages takes a few requests, also when one message of the log is %s', async (_, times) => {
    let questions = 0
    const driver = createRedisDriver({ createClient: (options) => {
      const client = new Redis(redis.url, options)
      const send = client.sendCommand.bind(client)
      client.sendCommand = (command, stream) => {
        if (/eval|xrange/i.test(command.name)) questions++
        return send(command, stream)
      }
      return client
    } }, RETENTION)
    const channel = `mixed ${times}`
    const long = { data: JSON.stringify('xy'.repeat(times)) }
    await driver.append(channel, [long], RETENTION)
    for (let n = 0; n < 300; n++) await driver.append(channel, [{ data: `${n}` }, { data: JSON.stringify('x'.repeat(200)) }], RETENTION)
    await driver.append(channel, [long], RETENTION)
    questions = 0
    const { entries } = await driver.read(channel, 1, { messages: 1_000, bytes: 65_536 })
    expect(entries.map(({ offset }) => offset)).toEqual(Array.from({ length: 601 }, (_, index) => index + 2))
    expect(questions).toBeLessThanOrEqual(4)
    await driver.close()
  })

  it('messages appended between the two requests of a page belong to it, and a returning reader of the channel does not request them again', async () => {
    const writer = createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION)
    const append = (...names: string[]) => writer.append('grows', names.map(name => ({ data: JSON.stringify(name.repeat(200)) })), RETENTION)
    let meanwhile: (() => Promise<unknown>) | undefined
    const driver = createRedisDriver({ createClient: (options) => {
      const client = new Redis(redis.url, options)
      const pipelineOf = client.pipeline.bind(client) as Redis['pipeline']
      client.pipeline = () => {
        const pipeline = pipelineOf()
        const exec = pipeline.exec.bind(pipeline)
        pipeline.exec = async () => {
          await meanwhile?.()
          meanwhile = undefined
          return exec()
        }
        return pipeline
      }
      return client
    } }, RETENTION)
    for (let n = 0; n < 40; n++) await append('a', 'b')

    meanwhile = () => append('c', 'd')
    const page = await driver.read('grows', 0, { messages: 1_000, bytes: 262_144 })
    expect(meanwhile).toBeUndefined()
    expect(page.entries.map(({ offset }) => offset)).toEqual(Array.from({ length: 82 }, (_, index) => index + 1))
    expect(page).toMatchObject({ first: 1, last: 82, mark: page.entries.at(-1)!.mark, closing: null })

    meanwhile = () => append('e', 'f')
    const watched = watchedDriver(driver)
    const hub = new Hub(watched)
    for (const expected of [84, 0]) {
      const reader = await hub.reader('grows', undefined, 'start')
      expect(watched.entriesRead).toBe(expected)
      for (let step = await reader.step(); step; step = await reader.step()) expect(step.type).toBe('messages')
      expect([reader.offset, watched.entriesRead]).toEqual([84, expected])
      reader.close()
      watched.entriesRead = 0
    }
    await Promise.all([driver.close(), writer.close()])
  })

  it('bounds its queue, and reports a full one at once', async () => {
    const driver = createRedisDriver({ createClient: options => new Redis({ ...options, port: 1 }), timeoutMs: 200, report: () => {} }, RETENTION)
    const refused = await Promise.allSettled(Array.from({ length: 10_050 }, () => driver.append('c', [{ data: '1' }], RETENTION)))
    expect(refused.every(result => result.status === 'rejected' && result.reason.code === 'DRIVER_UNAVAILABLE')).toBe(true)
    await driver.close()
  })

  it('rejects at once while no client can be made, and works as soon as one can', async () => {
    let installed = false
    let asked = 0
    const driver = createRedisDriver({ createClient: (options) => {
      asked++
      if (!installed) throw new Error('Cannot find package')
      return new Redis(redis.url, options)
    } }, RETENTION)
    await expect(driver.append('c', [{ data: '1' }], RETENTION)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    await expect(driver.subscribe('c', () => {})).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    expect(asked).toBe(2)
    // Trap 33: the driver does not remember a failed first attempt.
    installed = true
    expect((await driver.append('later', [{ data: '1' }], RETENTION)).offsets).toEqual([1])
    await driver.close()
  })

  it('reconnects after a cut although the client\'s factory turned reconnects off', async () => {
    const admin = new Redis(redis.url)
    const driver = createRedisDriver({ createClient: settings => new Redis(redis.url, { ...settings, retryStrategy: null as never, connectionName: 'stubborn' }), report: () => {} }, RETENTION)
    const notices: unknown[] = []
    await driver.subscribe('stubborn', notice => notices.push(notice))
    await driver.append('stubborn', [{ data: '1' }], RETENTION)
    for (const type of ['normal', 'pubsub']) await admin.client('KILL', 'TYPE', type, 'SKIPME', 'yes')
    notices.length = 0
    await driver.append('stubborn', [{ data: '2' }], RETENTION)
    await eventually(() => expect(notices.length).toBeGreaterThan(0))
    admin.disconnect()
    await driver.close()
  })

  it('replaces a client that has ended for good, and leaves none open', async () => {
    const clients: Redis[] = []
    const driver = createRedisDriver({ createClient: (settings) => {
      clients.push(new Redis(redis.url, settings))
      return clients.at(-1)!
    }, report: () => {} }, RETENTION)
    const notices: unknown[] = []
    await driver.subscribe('ended-client', notice => notices.push(notice))
    expect(clients).toHaveLength(2)
    // As ioredis does when a Sentinel announces a failover while ioredis queries it for the primary.
    for (const client of clients) client.disconnect()
    expect((await driver.append('ended-client', [{ data: '1' }], RETENTION)).offsets).toEqual([1])
    await eventually(() => expect(notices.length).toBeGreaterThan(0))
    await eventually(() => expect(clients.map(({ status }) => status)).toEqual(['ready', 'ready']))
    await driver.close()
    await eventually(() => expect(clients.map(({ status }) => status)).toEqual(['end', 'end']))
  })

  it('logs a refusal of Redis once, and a refused request has no effect', async () => {
    const own = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] })
    const admin = new Redis(own.url)
    const said: unknown[] = []
    const driver = createRedisDriver({ createClient: options => new Redis(own.url, options), report: (...all) => said.push(all) }, RETENTION)
    await driver.append('full', [{ data: '1' }], RETENTION)
    await admin.config('SET', 'maxmemory', '1')
    for (let n = 0; n < 3; n++) await expect(driver.append('full', [{ data: '2' }], RETENTION)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE', cause: { message: expect.stringContaining('OOM') } })
    await admin.config('SET', 'maxmemory', '0')
    expect((await driver.append('full', [{ data: '3' }], RETENTION)).offsets).toEqual([2])
    expect(said).toEqual([['Redis rejected a command.', expect.objectContaining({ message: expect.stringContaining('OOM') })]])
    admin.disconnect()
    await driver.close()
    await own.stop()
  })

  // @guarantee stored
  it('takes effect once when it repeats a request with a lost answer: appends of every kind, and endings', async () => {
    // Every second time, Redis runs the command and the connection is cut before the answer.
    const loseAnswers = (client: Redis): Redis => {
      const define = client.defineCommand.bind(client)
      client.defineCommand = (name, definition) => {
        define(name, definition)
        const commands = client as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
        const real = commands[name]!.bind(client)
        let calls = 0
        commands[name] = async (...args) => {
          const answer = await real(...args)
          if (calls++ % 2 === 0) throw new Error('Connection is closed.')
          return answer
        }
      }
      return client
    }
    const driver = createRedisDriver({ createClient: options => loseAnswers(new Redis(redis.url, options)), report: () => {} }, RETENTION)
    const few = { ...RETENTION, maxMessages: 2 }
    const offsets: number[] = []
    for (const entries of [[{ data: '1' }], [{ data: '2', key: 'k' }, { data: '3', event: 'e' }], [{ data: '2', key: 'k' }, { data: '4' }], [{ data: '5' }, { data: '6' }, { data: '7' }]]) {
      offsets.push(...(await driver.append('twice', entries, few)).offsets)
    }
    expect(offsets).toEqual([1, 2, 3, 2, 4, 5, 6, 7])
    // An append by a producer, with its own number and its lease; and a repeated request after a missing answer.
    const lease = { token: 'run', leaseMs: 60_000, onLost: 'fail' } as const
    expect((await driver.lease('run', { type: 'acquire', ...lease }, RETENTION)).held).toBe(true)
    for (const number of [1, 2, 2]) await driver.append('run', [{ data: String(number) }], RETENTION, { id: 'run', number, leased: true })
    expect((await driver.lease('run', { type: 'renew', ...lease }, RETENTION)).held).toBe(true)
    expect(await driver.finish('run', {}, RETENTION, 'run')).toBe(true)
    expect((await driver.read('run', 0, { messages: 10, bytes: 1_000 })).entries.map(({ data }) => String(data))).toEqual(['1', '2'])
    expect((await driver.lease('run', { type: 'acquire', ...lease, token: 'next', anew: true }, RETENTION)).held).toBe(true)
    expect((await driver.lease('run', { type: 'stop' }, RETENTION)).state!.lease!.stopping).toBe(true)

    expect(await driver.finish('twice', {}, RETENTION)).toBe(true)
    expect(await driver.finish('twice', {}, RETENTION)).toBe(false)
    expect(await driver.read('twice', 0, { messages: 10, bytes: 1_000 })).toMatchObject({ first: 6, last: 7, closing: {} })
    await driver.close()
  })

  it('a lease that Redis lost together with the log is taken again, and its producer continues in another epoch', async () => {
    const admin = new Redis(redis.url)
    const driver = createRedisDriver({ createClient: settings => new Redis(redis.url, settings) }, RETENTION)
    const lease = { token: 'run', leaseMs: 60_000, onLost: 'fail' } as const
    const { state } = await driver.lease('emptied', { type: 'acquire', ...lease }, RETENTION)
    await driver.append('emptied', [{ data: '1' }], RETENTION, { id: 'run', number: 1, leased: true })
    await admin.flushall()
    // A reader may have read the channel before.
    await readState(driver, 'emptied')
    await expect(driver.append('emptied', [{ data: '2' }], RETENTION, { id: 'run', number: 2, leased: true })).rejects.toMatchObject({ code: 'LEASE_LOST' })
    expect((await driver.lease('emptied', { type: 'renew', ...lease }, RETENTION)).held).toBe(true)
    const { epoch, offsets } = await driver.append('emptied', [{ data: '2' }], RETENTION, { id: 'run', number: 2, leased: true })
    expect(offsets).toEqual([1])
    expect(epoch).not.toBe(state!.epoch)
    admin.disconnect()
    await driver.close()
  })

  it('remembers a producer\'s last append for as long as its lease allows a repeat', async () => {
    const admin = new Redis(redis.url)
    const driver = createRedisDriver({ createClient: settings => new Redis(redis.url, settings) }, RETENTION)
    const leaseMs = 600_000
    await driver.lease('slow', { type: 'acquire', token: 'run', leaseMs, onLost: 'fail' }, RETENTION)
    await driver.append('slow', [{ data: '1' }], RETENTION, { id: 'run', number: 1, leased: true })
    expect(await admin.pttl('sse:{slow}:w:run')).toBeGreaterThan(leaseMs)
    admin.disconnect()
    await driver.close()
  })

  it('logs once that Redis is unavailable, and once that it is back', async () => {
    const own = await startRedis()
    const said: string[] = []
    const driver = createRedisDriver({ createClient: options => new Redis(own.url, options), timeoutMs: 300, report: message => said.push(message) }, RETENTION)
    await driver.append('c', [{ data: '1' }], RETENTION)
    await own.kill()
    for (let n = 0; n < 5; n++) await expect(driver.append('c', [{ data: '2' }], RETENTION)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    await own.start()
    await eventually(() => driver.append('c', [{ data: '3' }], RETENTION))
    expect(said).toEqual(['Redis is unreachable. Publishing fails until it is reachable again.', 'Redis is reachable again.'])
    await driver.close()
    await own.stop()
  })
})
