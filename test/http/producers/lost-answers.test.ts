import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { SSERunOptions } from '../../../src/runtime/server/producers/run'
import type { SSEError } from '../../../src/runtime/shared/errors'
import { createFailingDriver } from '../../../src/runtime/test'
import type { FailingDriver, FailingMethod } from '../../../src/runtime/test'
import { eventually } from '../../support/conditions'
import { startSSEServer } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'
import { failOnUnhandledRejections } from '../../support/unhandled'

/** A store executes a request, and its answer gets lost: a run may be delayed by one lease, and must not fail. */

failOnUnhandledRejections()

const LEASE_MS = 400

let store: LogDriver
let drivers: FailingDriver[]
let servers: TestServer[]
beforeEach(async () => {
  store = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
  drivers = [0, 1].map(() => createFailingDriver({ ...store, close: async () => {} }))
  servers = await Promise.all(drivers.map(driver => startSSEServer({ leaseMs: LEASE_MS, shutdownMs: 20, retryMs: 10 }, driver)))
})
afterEach(async () => {
  for (const driver of drivers) driver.heal()
  await Promise.all(servers.map(server => server.close()))
  await store.close()
})

const code = (promise: Promise<unknown>) => promise.then(() => 'resolved', (error: SSEError) => error.code)
const channel = (at = 0) => servers[at]!.channel<string>('c')
const run = (at: number, options?: SSERunOptions) => channel(at).run(() => [`${at}`], options)
const complete = (by: number) => eventually(async () => expect(await channel(1).read()).toMatchObject({ messages: [{ data: `${by}` }], ended: true }))

describe.each(['fail', 'restart'] as const)('the answer to `acquire` is lost (onLost: %s)', (onLost) => {
  it('once: run retries, and starts', async () => {
    drivers[0]!.fail('lease', { times: 1, lost: 'answer' })
    expect(await code(run(0, { onLost }))).toBe('resolved')
    await complete(0)
  })

  it('until it gives up: the next run starts, here', async () => {
    drivers[0]!.fail('lease', { times: 2, lost: 'answer' })
    expect(await code(run(0, { onLost }))).toBe('DRIVER_UNAVAILABLE')
    expect(await code(run(0, { onLost }))).toBe('resolved')
    await complete(0)
  })

  it('and all others of this process too: the next run starts elsewhere, at the latest after one lease', async () => {
    drivers[0]!.fail('lease', { times: 1, lost: 'answer' })
    drivers[0]!.fail('lease')
    expect(await code(run(0, { onLost }))).toBe('DRIVER_UNAVAILABLE')
    expect(await channel(1).info()).toMatchObject({ running: true, ended: false })
    const began = performance.now()
    expect(await code(run(1, { onLost }))).toBe('resolved')
    expect(performance.now() - began).toBeGreaterThan(LEASE_MS / 2)
    await complete(1)
  })

  it('a reader that waits meanwhile receives no loss', async () => {
    const collected = (async () => {
      const all: string[] = []
      for await (const { data } of channel(1).subscribe()) all.push(data)
      return all
    })()
    drivers[0]!.fail('lease', { times: 1, lost: 'answer' })
    drivers[0]!.fail('lease')
    expect(await code(run(0, { onLost }))).toBe('DRIVER_UNAVAILABLE')
    await run(1, { onLost })
    expect(await collected).toEqual(['1'])
  })
})

describe('the lease runs out before it was used', () => {
  it.each(['fail', 'restart'] as const)('readers receive the loss, or the producer starts again (onLost: %s)', async (onLost) => {
    let started = 0
    // Redis fails as soon as it has given the lease, for longer than that lease.
    const { lease } = drivers[0]!
    drivers[0]!.lease = async (...args) => {
      const answer = await lease!(...args)
      drivers[0]!.lease = lease
      drivers[0]!.fail('all')
      return answer
    }
    const reading = (async () => {
      for await (const { data } of channel(1).subscribe()) return data
    })().catch((error: SSEError) => error.code)
    await channel().run(({ signal }) => {
      if (++started > 1) return ['again']
      return (async function* () {
        await new Promise(stopped => signal.addEventListener('abort', stopped))
        yield 'late'
      })()
    }, { onLost })
    await eventually(async () => expect((await channel(1).info()).running).toBe(false))
    drivers[0]!.heal()
    expect(await reading).toBe(onLost === 'fail' ? 'PRODUCER_LOST' : 'again')
    expect(started).toBe(onLost === 'fail' ? 1 : 2)
  })
})

describe('other answers that are lost', () => {
  it.each<[FailingMethod, number]>([['lease', 1], ['lease', 2], ['finish', 2]])('a run completes, with each message once: %s, %i times', async (method, times) => {
    const begun = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    await channel().run(async function* () {
      yield 'a'
      begun.resolve()
      await gate.promise
      yield 'b'
    })
    await begun.promise
    drivers[0]!.fail(method, { times, lost: 'answer' })
    const { failed } = drivers[0]!
    if (method === 'lease') await eventually(() => expect(drivers[0]!.failed).toBe(failed + times))
    gate.resolve()
    await eventually(async () => expect(await channel(1).info()).toMatchObject({ ended: true, lastOffset: 2 }))
    expect((await channel(1).read()).messages.map(({ data }) => data)).toEqual(['a', 'b'])
    expect(await channel(1).info()).not.toHaveProperty('error')
  })

  it('an ending: the retry finds it done', async () => {
    drivers[0]!.fail('finish', { times: 1, lost: 'answer' })
    expect(await code(channel().end())).toBe('DRIVER_UNAVAILABLE')
    expect(await code(channel().end())).toBe('resolved')
    expect(await channel(1).info()).toMatchObject({ ended: true })
  })

  it('a deletion: the retry finds it done', async () => {
    await channel().publish('x')
    drivers[0]!.fail('remove', { times: 1, lost: 'answer' })
    expect(await code(channel().delete())).toBe('DRIVER_UNAVAILABLE')
    expect(await code(channel().delete())).toBe('resolved')
    expect((await channel(1).read()).messages).toEqual([])
  })
})
