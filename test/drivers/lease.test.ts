import process from 'node:process'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createMemoryDriver } from '../../src/runtime/server/drivers/memory/memory'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { LeasingDriver } from '../../src/runtime/server/drivers/capabilities'
import type { LogOnLost } from '../../src/runtime/server/drivers/types'
import { startRedis, stopRedis } from '../support/redis'
import type { TestRedis } from '../support/redis'

/**
 * Runs any interleaving of producers' lease requests and of time against a model of twenty lines. Only the holder of the lease
 * appends, and the log keeps exactly the accepted messages.
 */

const RETENTION = { maxMessages: 10_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const LEASE_MS = 60_000
const RUNS = 150 * Number(process.env.SSE_RUNS ?? 1)
const ACTORS = 3

type Step
  = | { do: 'acquire', actor: number, onLost: LogOnLost, anew: boolean }
    | { do: 'renew' | 'append' | 'finish' | 'release', actor: number }
    | { do: 'pass', ms: number }
    | { do: 'stop' | 'remove' | 'publish' }

const actor = fc.integer({ min: 0, max: ACTORS - 1 })
const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('acquire' as const), actor, onLost: fc.constantFrom<LogOnLost>('fail', 'restart'), anew: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), actor }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('renew' as const, 'release' as const, 'finish' as const), actor }) },
  // A paused producer does nothing while time passes. No sum of these times ends a lease at the exact moment, since the clock of Redis
  // keeps running.
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(25_300, 70_700, 141_100) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('stop' as const, 'remove' as const, 'publish' as const) }) },
), { maxLength: 40 })

interface Model {
  lease?: { token: string, leftMs: number, onLost: LogOnLost }
  ended: boolean
  kept: string[]
}

/** `pass` lets time pass for the driver. */
async function follows(driver: LeasingDriver, channel: string, pass: (ms: number) => Promise<void>, all: Step[]): Promise<void> {
  let model: Model = { ended: false, kept: [] }
  const tokens: (string | undefined)[] = []
  const numbers: number[] = Array.from({ length: ACTORS }, () => 0)
  /** Time that each producer's own clock leaves it. A producer whose time is up sends no request. */
  const clocks: number[] = Array.from({ length: ACTORS }, () => 0)
  let made = 0

  const holds = (index: number) => !model.ended && model.lease !== undefined && model.lease.token === tokens[index] && model.lease.leftMs >= 0
  const isLost = () => !model.ended && model.lease !== undefined && model.lease.leftMs < (model.lease.onLost === 'restart' ? -LEASE_MS : 0)
  const codeOf = (promise: Promise<unknown>) => promise.then(() => 'done', error => error.code)
  const refusal = () => model.ended ? 'CHANNEL_ENDED' : 'LEASE_LOST'

  for (const step of all) {
    switch (step.do) {
      case 'acquire': {
        const token = `t${++made}`
        const answer = await driver.lease(channel, { type: 'acquire', token, leaseMs: LEASE_MS, onLost: step.onLost, anew: step.anew }, RETENTION)
        if (step.anew && (model.ended || isLost())) model = { ended: false, kept: [] }
        const free = !model.lease || (model.lease.leftMs < 0 && model.lease.onLost === 'restart')
        const taken = !model.ended && free
        expect(answer.held).toBe(taken)
        if (!taken) break
        model.lease = { token, leftMs: LEASE_MS, onLost: step.onLost }
        tokens[step.actor] = token
        numbers[step.actor] = 0
        clocks[step.actor] = LEASE_MS
        break
      }
      case 'renew': {
        const token = tokens[step.actor]
        if (token === undefined || clocks[step.actor]! < 0) break
        const { held } = await driver.lease(channel, { type: 'renew', token, leaseMs: LEASE_MS, onLost: 'fail' }, RETENTION)
        expect(held).toBe(holds(step.actor))
        if (held) model.lease!.leftMs = clocks[step.actor] = LEASE_MS
        break
      }
      case 'append': {
        const data = JSON.stringify(`${step.actor} ${++made}`)
        const append = driver.append(channel, [{ data }], RETENTION, { id: tokens[step.actor] ?? 'none', number: ++numbers[step.actor]!, leased: true })
        const mayAppend = holds(step.actor)
        expect(await codeOf(append)).toBe(mayAppend ? 'done' : refusal())
        if (mayAppend) model.kept.push(data)
        break
      }
      case 'publish': {
        const data = JSON.stringify(`anybody ${++made}`)
        const open = !model.ended && !isLost()
        expect(await codeOf(driver.append(channel, [{ data }], RETENTION))).toBe(open ? 'done' : 'CHANNEL_ENDED')
        if (open) model.kept.push(data)
        break
      }
      case 'finish': {
        const mayFinish = holds(step.actor)
        const answer = await driver.finish(channel, {}, RETENTION, tokens[step.actor] ?? 'none').then(String, error => error.code)
        expect(answer).toBe(mayFinish ? 'true' : model.ended ? 'false' : 'LEASE_LOST')
        if (!mayFinish) break
        model.ended = true
        tokens[step.actor] = undefined
        break
      }
      case 'release': {
        const held = holds(step.actor)
        await driver.lease(channel, { type: 'release', token: tokens[step.actor] ?? 'none' }, RETENTION)
        if (held) model.lease!.leftMs = -1
        tokens[step.actor] = undefined
        break
      }
      case 'stop':
        await driver.lease(channel, { type: 'stop' }, RETENTION)
        if (!model.ended && model.lease && !isLost()) model.lease.onLost = 'fail'
        break
      case 'remove':
        await driver.remove(channel)
        model = { ended: false, kept: [] }
        break
      case 'pass':
        await pass(step.ms)
        if (model.lease) model.lease.leftMs -= step.ms
        clocks.forEach((_, index) => clocks[index]! -= step.ms)
    }
    const { entries, closing, lease } = await driver.read(channel, 0, { messages: 10_000, bytes: 10_000_000 })
    expect(entries.map(({ data }) => data)).toEqual(model.kept)
    expect(closing?.error?.code ?? closing).toEqual(model.ended ? {} : isLost() ? 'PRODUCER_LOST' : null)
    expect(lease === undefined).toBe(model.ended || isLost() || model.lease === undefined)
    if (lease) expect(lease.leftMs > 0).toBe(model.lease!.leftMs > 0)
  }
}

describe('a lease: only its holder appends, under any interleaving', () => {
  afterEach(() => void vi.useRealTimers())

  it('memory', async () => {
    vi.useFakeTimers()
    await fc.assert(fc.asyncProperty(steps, async (all) => {
      const driver = createMemoryDriver({ ...RETENTION, maxAgeMs: 1e9 })
      await follows(driver, 'c', async ms => void vi.advanceTimersByTime(ms), all)
      await driver.close()
    }), { numRuns: 10 * RUNS })
  }, 60_000)

  describe('redis', () => {
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

    it('one Redis', async () => {
      const driver = createRedisDriver({ createClient: settings => new Redis(redis.url, settings) }, RETENTION)
      let names = 0
      await fc.assert(fc.asyncProperty(steps, async (all) => {
        const channel = `lease ${++names}`
        const meta = `sse:{${channel}}:meta`
        // The clock of Redis cannot be moved forward, so this moves the recorded times back.
        await follows(driver, channel, async (ms) => {
          const lease = await admin.hget(meta, 'lease')
          const [token, until, ...rest] = lease?.split(' ') ?? []
          if (token) await admin.hset(meta, 'lease', [token, Number(until) - ms, ...rest].join(' '))
        }, all)
      }), { numRuns: RUNS })
      await driver.close()
    }, 60_000)
  })
})
