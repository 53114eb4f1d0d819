import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { Channel } from '../../src/runtime/server/channel/channel'
import { Channels } from '../../src/runtime/server/channel/several'
import type { SSEContext } from '../../src/runtime/server/context/context'
import { createSSEContext } from '../../src/runtime/server/context/context'
import { createMemoryDriver } from '../../src/runtime/server/drivers/memory/memory'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { LogDriver } from '../../src/runtime/server/drivers/types'
import { DEFAULT_HANDLER_OPTIONS } from '../../src/runtime/server/options'
import { parseWhole } from '../../src/runtime/shared/whole-position'
import { turns } from '../support/random'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

const DRIVERS: [string, () => LogDriver][] = [
  ['memory', () => createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)],
  ['Redis', () => createRedisDriver({ createClient: settings => new Redis(redis.url, settings), report: () => {} }, DEFAULT_HANDLER_OPTIONS.retention)],
]

describe.each(DRIVERS)('snapshot() with the %s driver', (kind, createDriver) => {
  let context: SSEContext
  let names = 0
  beforeEach(() => {
    context = createSSEContext({ options: DEFAULT_HANDLER_OPTIONS, driver: createDriver() })
  })
  afterEach(() => context.close())
  const channel = () => new Channel<number>(context, `list:${kind}:${names++}`)

  it('resolves with the state and the position, also of a channel without messages', async () => {
    const list = channel()
    const { position } = await list.snapshot(() => 'empty')
    expect(position).toBe((await list.info()).position)
    await list.publish(1)
    const id = await list.publish(2)
    expect(await list.snapshot(() => Promise.resolve(['state']))).toEqual({ data: ['state'], position: id })
    expect((await list.read({ after: position })).messages.map(({ data }) => data)).toEqual([1, 2])
  })

  it('rejects with the error of `load`, and without a function', async () => {
    const list = channel()
    const error = new Error('no table')
    await expect(list.snapshot(() => Promise.reject(error))).rejects.toBe(error)
    await expect(list.snapshot(() => {
      throw error
    })).rejects.toBe(error)
    await expect(list.snapshot([] as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(new Channels({ list }).snapshot(undefined as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })

  it('each change that is published while `load` runs is in the state or after the position', async () => {
    let between = 0
    await fc.assert(fc.asyncProperty(
      fc.array(fc.record({ list: fc.nat(1), after: fc.nat(3), lag: fc.nat(2) }), { maxLength: 20 }),
      fc.record({ before: fc.nat(30), during: fc.nat(30), several: fc.boolean() }),
      async (writes, { before, during, several }) => {
        const lists = [channel(), channel()] as const
        const committed = [new Set<number>(), new Set<number>()] as const
        const write = async () => {
          for (const [change, { list, after, lag }] of writes.entries()) {
            await turns(after)
            committed[list]!.add(change)
            await turns(lag)
            await lists[list]!.publish(change)
          }
        }
        const writing = write()
        await turns(before)
        const load = async () => {
          // The database reads at some moment while `load` runs.
          await turns(during)
          const state = committed.map(set => [...set])
          await turns(during)
          return state
        }
        const { data, position } = several ? await new Channels({ a: lists[0], b: lists[1] }).snapshot(load) : await lists[0].snapshot(load)
        await writing
        const positions = several ? parseWhole(position, ['a', 'b']).map(({ text }) => text!) : [position]
        for (const [index, after] of positions.entries()) {
          const later = (await lists[index]!.read({ after })).messages.map(message => message.data)
          expect((await lists[index]!.read({ after })).gap).toBeNull()
          between += later.filter(change => data[index]!.includes(change)).length
          expect(new Set([...data[index]!, ...later])).toEqual(committed[index])
        }
      },
    ), { numRuns: kind === 'Redis' ? 60 : 200 })
    // Some changes are in both, which `reduce` has to bear.
    expect(between).toBeGreaterThan(0)
  })

  it('the whole position of several channels names each key', async () => {
    const [feed, notices] = [channel(), channel()]
    await feed.publish(1)
    const { data, position } = await new Channels({ feed, notices }).snapshot(() => 1)
    expect(data).toBe(1)
    expect(position).toBe(`feed:${(await feed.info()).position},notices:${(await notices.info()).position}`)
    expect((await new Channels({ feed }).snapshot(() => 1)).position).toBe(`feed:${(await feed.info()).position}`)
  })
})
