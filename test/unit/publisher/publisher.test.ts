import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { createSSEPublisher, defineSSEChannel } from '../../../src/runtime/publisher'
import type { SSEPublisher, SSEPublisherOptions } from '../../../src/runtime/publisher'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { failOnUnhandledRejections } from '../../support/unhandled'
import { eventually } from '../../support/conditions'

failOnUnhandledRejections()
const open = new Set<SSEPublisher>()
afterEach(async () => {
  for (const publisher of open) await publisher.close()
  open.clear()
  vi.unstubAllEnvs()
})

const memory = () => createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
function publisher(options: SSEPublisherOptions = { driver: memory() }): SSEPublisher {
  const made = createSSEPublisher(options)
  open.add(made)
  return made
}

describe('a channel of a publisher', () => {
  // @guarantee publisher
  it('does all that needs no request', async () => {
    const sse = publisher()
    const feed = sse.channel<number>('feed')
    const first = await feed.publish(1)
    await feed.publish(2, { event: 'named', key: 'k' })
    expect(await feed.publish(2, { event: 'named', key: 'k' })).toBe((await feed.info()).position)
    expect((await feed.read({ after: first })).messages).toMatchObject([{ event: 'named', data: 2 }])
    const seen: number[] = []
    const reading = (async () => {
      for await (const { data } of feed.subscribe()) seen.push(data)
    })()
    await feed.pipe([3, 4])
    await reading
    expect(seen).toEqual([1, 2, 3, 4])
    await feed.delete()
    await feed.run(() => [5])
    await eventually(async () => expect(await feed.info()).toMatchObject({ ended: true, messages: 1 }))
    await sse.channel('x').fail(new Error('secret'))
    expect((await sse.channel('x').info()).error).toMatchObject({ code: 'SOURCE_FAILED' })
  })

  // @guarantee publisher
  it('has snapshots: the position, then the state, so that no change falls in between', async () => {
    const list = publisher().channel<string>('list')
    const state = [await list.publish('one')]
    const snapshot = await list.snapshot(async () => {
      state.push(await list.publish('two'))
      return [...state]
    })
    expect(snapshot).toEqual({ data: state, position: state[0] })
    expect((await list.read({ after: snapshot.position })).messages).toMatchObject([{ data: 'two' }])
    await expect(list.snapshot('state' as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })

  it('has schemas, retention, and the limits of its publisher', async () => {
    const sse = publisher({ driver: memory(), maxMessageBytes: 10, retention: { maxMessages: 2 } })
    const numbers = sse.channel('n', { schema: z.coerce.number<string>() })
    for (const text of ['1', '2', '3']) await numbers.publish(text)
    expect((await numbers.read()).messages.map(({ data }) => data)).toEqual([2, 3])
    await expect(numbers.publish('x')).rejects.toMatchObject({ code: 'INVALID_MESSAGE' })
    await expect(sse.channel('n').publish('x'.repeat(20))).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(() => sse.channel('')).toThrow(expect.objectContaining({ code: 'INVALID_CHANNEL' }))
  })
})

describe('a presence of a publisher', () => {
  const member = (id: string) => ({ id, member: JSON.stringify({ id, data: { name: id.toUpperCase() } }) })

  // @guarantee presence, publisher
  it('looks up the members that servers hold, and adds none', async () => {
    const driver = memory()
    const step = (request: Parameters<NonNullable<typeof driver.presence>>[1]) => driver.presence!('nuxt-sse:presence:room', request, DEFAULT_HANDLER_OPTIONS.retention)
    const here = publisher({ driver }).presence<{ name: string }>('room')
    expect([await here.count(), await here.members()]).toEqual([0, []])
    await step({ holder: 'server', leaseMs: 60_000, hold: [member('ann'), member('ben')] })
    expect(await here.count()).toBe(2)
    expect(await here.members()).toEqual([{ id: 'ann', data: { name: 'ANN' } }, { id: 'ben', data: { name: 'BEN' } }])
    const names: string[] = (await here.members()).map(({ data }) => data!.name)
    expect(names).toHaveLength(2)
    await step({ holder: 'server', leaseMs: 60_000, release: [{ id: 'ann', afterMs: 0 }] })
    expect([await here.count(), await here.members()]).toEqual([1, [{ id: 'ben', data: { name: 'BEN' } }]])
    const { last } = await step({})
    await here.members()
    expect((await step({})).last).toBe(last)
  })

  it('refuses names that a server refuses, and rejects where the driver has no presence or the publisher is closed', async () => {
    const { presence: _, ...plain } = memory()
    const sse = publisher({ driver: plain })
    for (const name of ['', 'x'.repeat(513), '\uD800', 7]) expect(() => sse.presence(name as string)).toThrow(expect.objectContaining({ code: 'INVALID_CHANNEL' }))
    await expect(sse.presence('room').members()).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
    await expect(sse.presence('room').count()).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
    const other = publisher()
    await other.close()
    await expect(other.presence('room').count()).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
  })
})

describe('several publishers in a process', () => {
  // @guarantee publisher
  it('defined channels use the first that is open', async () => {
    const feed = defineSSEChannel('feed')
    const [first, second] = [publisher(), publisher()]
    await feed().publish(1)
    await first.close()
    await feed().publish(2)
    expect((await second.channel('feed').read()).messages.map(({ data }) => data)).toEqual([2])
    await second.close()
    await expect(feed().publish(3)).rejects.toMatchObject({ code: 'NO_PUBLISHER' })
  })
})

describe('close', () => {
  // @guarantee publisher
  it('waits for what is in flight, and then stops producers as a shutdown does', async () => {
    const sse = publisher({ driver: memory(), shutdownMs: 20 })
    const job = sse.channel('job')
    let released = false
    const driver = memory()
    const other = publisher({ driver, shutdownMs: 5_000 })
    const endless = job.pipe((async function* () {
      try {
        yield 1
        await new Promise(() => {})
      }
      finally {
        released = true
      }
    })())
    const refused = expect(endless).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    const short = other.channel('short').pipe((async function* () {
      yield 1
      await new Promise(resolve => setTimeout(resolve, 30))
      yield 2
    })())
    await Promise.all([sse.close(), other.close(), refused, short])
    expect(released).toBe(false)
    await sse.close()
    await expect(sse.channel('job').publish(1)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
  })

  it('`await using` closes it', async () => {
    let closed = 0
    const driver = { ...memory(), close: async () => void closed++ }
    {
      await using sse = publisher({ driver })
      await sse.channel('a').publish(1)
    }
    expect(closed).toBe(1)
  })
})

describe('options', () => {
  it.each<[string, unknown, string]>([
    ['an unknown one', { url: 'redis://x' }, 'url'],
    ['an unknown one of Redis', { redis: { host: 'x' } }, 'redis.host'],
    ['a URL that is none', { redis: { url: 'http://x' } }, 'redis.url'],
    ['a driver without methods', { driver: {} }, 'driver'],
    ['a client that is no function', { createClient: {} }, 'createClient'],
    ['a short lease', { driver: memory(), leaseMs: 1 }, 'leaseMs'],
    ['a bad retention', { driver: memory(), retention: { maxMessages: 0 } }, 'retention.maxMessages'],
    ['a driver and Redis', { driver: memory(), redis: { url: 'redis://127.0.0.1' } }, 'driver'],
    ['nothing, where the environment names no Redis', {}, 'redis.url'],
    ['no URL', { redis: { keyPrefix: 'x:' } }, 'redis.url'],
    ['no object', 7, 'options'],
  ])('refuses %s', (_, options, named) => {
    expect(() => createSSEPublisher(options as SSEPublisherOptions)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(`\`${named}\``) as string }))
  })

  it('the environment names Redis as it does for a server, and the options come first', async () => {
    vi.stubEnv('NUXT_SSE_REDIS_URL', 'redis://127.0.0.1:1/3')
    vi.stubEnv('NUXT_SSE_REDIS_KEY_PREFIX', 'app:')
    vi.stubEnv('NUXT_SSE_REDIS_TIMEOUT_MS', '50')
    publisher({})
    await expect(publisher({}).channel('a').publish(1)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    vi.stubEnv('NUXT_SSE_REDIS_TIMEOUT_MS', 'soon')
    expect(() => createSSEPublisher()).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    publisher({ redis: { timeoutMs: 60 } })
    vi.stubEnv('NUXT_SSE_REDIS_URL', 'http://x')
    expect(() => createSSEPublisher({ redis: { timeoutMs: 60 } })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('a client of the application\'s own receives the settings that the driver needs', async () => {
    const asked: unknown[] = []
    const sse = publisher({ redis: { timeoutMs: 500 }, createClient: (settings, role) => {
      asked.push([role, settings.enableOfflineQueue, settings.connectTimeout])
      throw new Error('none')
    } })
    await expect(sse.channel('a').publish(1)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    expect(asked[0]).toEqual(['commands', false, 500])
  })
})
