import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import { Hub } from '../../src/runtime/server/hub/hub'
import type { ChannelReader } from '../../src/runtime/server/hub/channel-reader'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { LogDriver } from '../../src/runtime/server/drivers/types'
import { eventually } from '../support/conditions'
import { startRedis, stopRedis } from '../support/redis'
import type { TestRedis } from '../support/redis'

const RETENTION = { maxMessages: 6, maxAgeMs: 60_000, maxBytes: 67_108_864 }
const RUNS = 60 * Number(process.env.SSE_RUNS ?? 1)

let redis: TestRedis
let admin: Redis
beforeAll(async () => {
  redis = await startRedis()
  admin = new Redis(redis.url)
})
afterAll(async () => {
  admin.disconnect()
  await stopRedis()
})

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), by: fc.nat(1), count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remember' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('go back' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), at: fc.nat(1), from: fc.constantFrom('start' as const, 'now' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deafen' as const), at: fc.nat(1) }) },
)

/** Messages that one reader received since its start or its last gap. */
class Follower {
  got: { id: string, data: string }[] = []
  from: string

  constructor(readonly reader: ChannelReader) {
    this.from = reader.position
    reader.wake = () => void this.pump()
    void this.pump()
  }

  #busy = false
  async pump(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    while (true) {
      const next = await this.reader.step()
      if (!next) break
      if (next.type === 'gap') {
        this.got = []
        this.from = next.gap.position
      }
      else if (next.type === 'messages') {
        for (const { offset, data } of next.run.entries) this.got.push({ id: `${next.run.epoch}.${offset}`, data: unpackData(data) })
      }
    }
    this.#busy = false
  }
}

// @guarantee order-once, lost-notice, failover
it('a reader\'s messages since its last gap match the log, however often the log goes back, is cut off, or loses notices', { timeout: 120_000 }, async () => {
  let channels = 0
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
    const channel = `back ${++channels}`
    const keys = ['log', 'meta', 'keys'].map(part => `sse:{${channel}}:${part}`)
    const open = () => createRedisDriver({ createClient: settings => new Redis(redis.url, settings), report: () => {} }, RETENTION)
    const publishers = [open(), open()]
    const deaf = [false, false]
    const drivers = [open(), open()]
    const hubs = drivers.map((driver, index) => new Hub({
      ...driver,
      recheckMs: 60,
      subscribe: (name, listener) => driver.subscribe(name, notice => deaf[index] || listener(notice)),
    } as LogDriver))
    const followers: Follower[] = []
    let dumps: [string, Buffer][] | undefined
    let n = 0
    const all = [...publishers, ...drivers]
    try {
      for (const one of steps) {
        switch (one.do) {
          case 'append':
            await publishers[one.by]!.append(channel, Array.from({ length: one.count }, () => ({ data: String(++n) })), RETENTION)
            break
          case 'remember':
            dumps = (await Promise.all(keys.map(async key => [key, await admin.dumpBuffer(key)] as [string, Buffer]))).filter(([, dump]) => dump)
            break
          case 'go back':
            if (!dumps) break
            // In one step, as in a failover.
            await dumps.reduce((pipeline, [key, dump]) => pipeline.restore(key, 60_000, dump), admin.multi().del(...keys)).exec()
            break
          case 'read':
            followers.push(new Follower(await hubs[one.at]!.reader(channel, undefined, one.from)))
            break
          case 'cut':
            for (const type of ['normal', 'pubsub']) await admin.client('KILL', 'TYPE', type, 'SKIPME', 'yes')
            break
          case 'deafen':
            deaf[one.at] = !deaf[one.at]
        }
      }
      deaf.fill(false)
      // The last publisher knows nothing of the earlier messages.
      const stranger = open()
      all.push(stranger)
      const { offsets } = await stranger.append(channel, [{ data: 'last' }], RETENTION)
      expect(offsets).toHaveLength(1)
      await eventually(async () => {
        const page = await stranger.read(channel, 0, { messages: 100, bytes: 10_000 })
        const kept = page.entries.map(({ offset, data }) => ({ id: `${page.epoch}.${offset}`, data }))
        for (const { got, from } of followers) {
          const behind = kept.filter(({ id }) => Number(id.split('.')[1]) > Number(from.split('.')[1]))
          // Messages that were trimmed meanwhile reached the reader in time. The comparison covers the messages that the log still keeps.
          expect(got.slice(-behind.length)).toEqual(behind)
          expect(new Set(got.map(({ id }) => id)).size).toBe(got.length)
          const seen = got.map(({ id }) => Number(id.split('.')[1]))
          expect(seen).toEqual(seen.map((_, index) => seen[0]! + index))
        }
      })
    }
    finally {
      for (const { reader } of followers) reader.close()
      await Promise.all(all.map(driver => driver.close()))
    }
  }), { numRuns: RUNS })
})
