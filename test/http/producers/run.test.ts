import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readState } from '../../../src/runtime/server/drivers/capabilities'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { SSERun, SSERunOptions } from '../../../src/runtime/server/producers/run'
import { SSEError } from '../../../src/runtime/shared/errors'
import { useMovingClock } from '../../support/moving-clock'
import { createFailingDriver } from '../../../src/runtime/test'
import type { FailingDriver } from '../../../src/runtime/test'
import type { WatchedDriver } from '../../support/drivers'
import { watchedDriver } from '../../support/drivers'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import { startSSEServer } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'
import { failOnUnhandledRejections } from '../../support/unhandled'
import { LOADED_MS } from '../../support/conditions'

failOnUnhandledRejections()

/** Leases and windows take hundreds of milliseconds: their time is moved. */
const { until: eventually } = useMovingClock()

const LEASE_MS = 800

/** Two servers on one store, each with a connection of its own to it. */
let store: WatchedDriver
let drivers: FailingDriver[]
let servers: TestServer[]
beforeEach(async () => {
  store = watchedDriver()
  drivers = [0, 1].map(() => createFailingDriver({ ...store, close: async () => {} }))
  servers = await Promise.all(drivers.map(driver => startSSEServer({ leaseMs: LEASE_MS, shutdownMs: 20, retryMs: 10 }, driver)))
})
afterEach(async () => {
  for (const driver of drivers) driver.heal()
  await Promise.all(servers.map(server => server.close()))
  for (const { context } of servers) expect([context.producers.size, context.hub.size]).toEqual([0, 0])
  await eventually(() => expect(store.listening).toBe(0))
  await store.close()
})

const code = (promise: Promise<unknown>) => promise.then(() => 'resolved', (error: SSEError) => error.code)
const channel = (at = 0) => servers[at]!.channel<unknown>('c')
const dataOf = async (at = 0) => (await channel(at).read()).messages.map(({ data }) => data)

/** A producer that runs until it is stopped, and its state. */
function producer(at = 0) {
  const gate = Promise.withResolvers<void>()
  const seen = { runs: [] as SSERun[], released: 0, finish: () => gate.resolve() }
  const start = (options?: SSERunOptions) => channel(at).run((run) => {
    seen.runs.push(run)
    return (async function* () {
      try {
        yield `${at} begins`
        await gate.promise
        yield `${at} ends`
      }
      finally {
        seen.released++
      }
    })()
  }, options)
  return Object.assign(seen, { start })
}

describe('run', () => {
  // @guarantee clean
  it('producer and standby release the channel when it has ended, not only with the process', async () => {
    const [first, second] = [producer(0), producer(1)]
    await first.start({ onLost: 'restart' })
    await second.start({ onLost: 'restart' })
    await eventually(() => expect(store.listening).toBe(2))
    first.finish()
    await eventually(() => expect(store.listening).toBe(0))
    expect([first.released, second.runs.length]).toEqual([1, 0])
  })

  it('starts one run for 100 simultaneous callers, here and there, and resolves with their channel', async () => {
    const all = [producer(0), producer(1)]
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => all[index % 2]!.start()))
    expect(answers.every(({ name }) => name === 'c')).toBe(true)
    expect(all[0]!.runs.length + all[1]!.runs.length).toBe(1)
    expect(await channel(1).info()).toMatchObject({ running: true, ended: false })
    for (const one of all) one.finish()
    await eventually(async () => expect(await channel(1).read()).toMatchObject({ messages: [{}, {}], ended: true }))
    expect(await channel(1).info()).toMatchObject({ running: false, ended: true })
    expect(all[0]!.released + all[1]!.released).toBe(1)
  })

  it('outlives its lease many times, learns where the channel ends, and runs without a reader', async () => {
    await channel().publish('before')
    const one = producer()
    await one.start()
    await eventually(() => expect(one.runs).toHaveLength(1))
    expect(one.runs[0]).toMatchObject({ offset: 1, position: expect.stringMatching(/\.1$/) })
    await eventually(async () => expect(await dataOf()).toEqual(['before', '0 begins']))
    const begun = performance.now()
    await eventually(async () => {
      expect((await channel(1).info()).running).toBe(true)
      expect(performance.now() - begun).toBeGreaterThan(3 * LEASE_MS)
    })
    one.finish()
    await eventually(async () => expect(await channel(1).info()).toMatchObject({ ended: true, lastOffset: 3 }))
  })

  it('attaches to, or restarts, a channel that has ended', async () => {
    await channel().run(() => [1])
    await eventually(async () => expect((await channel().info()).ended).toBe(true))
    const { epoch } = await channel().info()
    let started = 0
    await channel().run(() => [++started])
    expect((await channel(1).info()).epoch).toBe(epoch)
    expect(started).toBe(0)
    await channel(1).run(() => [++started + 1], { ifEnded: 'restart' })
    await eventually(async () => expect(await channel().read()).toMatchObject({ messages: [{ data: 2 }], ended: true }))
    expect((await channel().info()).epoch).not.toBe(epoch)
  })

  it('is stopped, or deleted, and started again in one turn', async () => {
    for (const end of ['stop', 'delete'] as const) {
      const one = producer()
      await one.start({ ifEnded: 'restart' })
      await eventually(async () => expect(await dataOf()).toEqual(['0 begins']))
      await channel()[end]()
      const two = producer()
      await two.start({ ifEnded: 'restart' })
      two.finish()
      await eventually(async () => expect(await channel(1).read()).toMatchObject({ messages: [{ data: '0 begins' }, { data: '0 ends' }], ended: true }))
      expect(two.runs).toHaveLength(1)
      one.finish()
      await eventually(() => expect(one.released).toBe(1))
    }
  })

  it('refuses the old name of `restart`, and names the new one', async () => {
    await expect(channel().run(() => [1], { ifEnded: 'anew' } as never)).rejects.toThrow('Expected `ifEnded` to be `"attach"` or `"restart"`, the new name of `"anew"`, got `"anew"`.')
  })

  it.each([[{ ifEnded: 'again' }], [{ onLost: 'ignore' }]])('refuses %j', async (options) => {
    expect(await code(channel().run(() => [1], options as never))).toBe('INVALID_OPTION')
    expect(await code(channel().run([1] as never))).toBe('INVALID_OPTION')
  })

  it('fails the channel when a producer throws, or returns nothing that can be read', async () => {
    await channel().run(() => {
      throw new Error('secret')
    })
    await eventually(async () => expect((await channel().info()).error).toMatchObject({ code: 'SOURCE_FAILED' }))
    await channel().run(() => 5 as never, { ifEnded: 'restart' })
    await eventually(async () => expect((await channel().info()).error).toMatchObject({ code: 'INVALID_SOURCE' }))
    await channel().run(async () => [7], { ifEnded: 'restart' })
    await eventually(async () => expect(await channel().read()).toMatchObject({ messages: [{ data: 7 }], ended: true }))
    expect(servers[0]!.reported).toMatchObject([{ message: 'secret' }, { code: 'INVALID_SOURCE' }])
  })

  it('rejects, and starts nothing, when the driver cannot be reached', async () => {
    drivers[0]!.fail('all')
    const one = producer()
    expect(await code(one.start())).toBe('DRIVER_UNAVAILABLE')
    drivers[0]!.heal()
    expect(one.runs).toEqual([])
    await one.start()
    one.finish()
    await eventually(async () => expect((await channel().info()).ended).toBe(true))
  })

  it('sees messages and ends of others meanwhile: it is stopped when the channel has ended', async () => {
    const one = producer()
    await one.start()
    await eventually(async () => expect(await dataOf()).toEqual(['0 begins']))
    await channel(1).publish('other')
    await channel(1).end()
    await eventually(() => expect(one.runs[0]?.signal.reason).toMatchObject({ code: 'CHANNEL_ENDED' }))
    one.finish()
    await eventually(() => expect(one.released).toBe(1))
    expect(await channel().info()).toMatchObject({ ended: true, lastOffset: 2 })
  })

  it('is stopped when its channel is deleted, and leaves later messages alone', async () => {
    const one = producer()
    await one.start()
    await eventually(async () => expect(await dataOf()).toEqual(['0 begins']))
    await channel(1).delete()
    await eventually(() => expect(one.runs[0]!.signal.reason).toMatchObject({ code: 'LEASE_LOST' }))
    await channel(1).publish('next')
    one.finish()
    await eventually(() => expect(one.released).toBe(1))
    expect(await channel().info()).toMatchObject({ ended: false, lastOffset: 1 })
  })
})

describe('stop', () => {
  it.each([['here', 0], ['from another process', 1]])('%s: aborts the producer, and readers receive the error after its last message', async (_, at) => {
    const one = producer()
    servers[1]!.route('/c', () => channel(1))
    await one.start()
    await using reader = await SSEReader.open(`${servers[1]!.url}/c`)
    await reader.until(({ data }) => data.length === 1)
    await channel(at).stop()
    expect(one.runs[0]!.signal.reason).toMatchObject({ code: 'ABORTED' })
    expect(await channel().info()).toMatchObject({ ended: true, running: false, error: { code: 'ABORTED', retry: false } })
    await reader.until(({ controls }) => controls.at(-1)?.type === 'error')
    expect(reader.controls.at(-1)).toMatchObject({ code: 'ABORTED', retry: false })
    one.finish()
    await eventually(() => expect(one.released).toBe(1))
    // A second call does nothing, nor does one where no run exists.
    await channel(at).stop()
    await servers[at]!.channel('none').stop()
  })

  it.each([['leaves', false], ['closes', true]])('rejects when the process %s before the producer has stopped', async (_, closes) => {
    // In another process, which does not receive it.
    await store.lease!('c', { type: 'acquire', token: 'other', leaseMs: 60_000, onLost: 'fail' }, DEFAULT_HANDLER_OPTIONS.retention)
    const stopped = code(channel(1).stop())
    await eventually(async () => expect((await readState(store, 'c')).lease).toMatchObject({ stopping: true }))
    await (closes ? servers[1]!.context.close() : servers[1]!.context.leave())
    expect(await stopped).toBe('SHUTTING_DOWN')
    expect((await readState(store, 'c')).lease).toMatchObject({ stopping: true })
  })

  it('takes effect at once, and not at the next renewal of the lease', async () => {
    const slow = await startSSEServer({ leaseMs: 600_000 }, drivers[0])
    let signal: AbortSignal | undefined
    await slow.channel('c').run((run) => {
      signal = run.signal
      return (async function* () {
        await new Promise(resolve => run.signal.addEventListener('abort', resolve))
        yield 'too late'
      })()
    })
    await eventually(() => expect(signal).toBeDefined())
    await channel(1).stop()
    expect(signal!.reason).toMatchObject({ code: 'ABORTED' })
    expect(await dataOf(1)).toEqual([])
    await slow.close()
  })

  describe('takes effect at once when a lease is renewed only every few minutes', () => {
    let slow: TestServer
    let signal: AbortSignal | undefined
    beforeEach(async () => {
      slow = await startSSEServer({ leaseMs: 600_000 }, drivers[0])
      signal = undefined
    })
    afterEach(() => slow.close())
    const start = () => slow.channel('c').run((run) => {
      signal = run.signal
      return new ReadableStream()
    })

    it('takes effect at once during an older renewal', async () => {
      const answer = Promise.withResolvers<void>()
      const asked = Promise.withResolvers<void>()
      const { lease, subscribe } = drivers[0]!
      let notify = () => {}
      drivers[0]!.subscribe = (name, listener) => {
        notify = () => listener({ type: 'changed' })
        return subscribe(name, listener)
      }
      await start()
      await eventually(() => expect(signal).toBeDefined())
      await turns(5)
      drivers[0]!.lease = async (...args) => {
        const given = await lease!(...args)
        asked.resolve()
        await answer.promise
        return given
      }
      notify()
      await asked.promise
      const stopped = channel(1).stop()
      await turns(5)
      answer.resolve()
      await stopped
      expect(signal!.reason).toMatchObject({ code: 'ABORTED' })
    })

    it('takes effect at once before the producer listens', async () => {
      const answer = Promise.withResolvers<void>()
      const { subscribe } = drivers[0]!
      drivers[0]!.subscribe = async (...args) => {
        await answer.promise
        return subscribe(...args)
      }
      await start()
      const stopped = channel(1).stop()
      await turns(5)
      answer.resolve()
      await stopped
      expect(signal!.reason).toMatchObject({ code: 'ABORTED' })
    })
  })

  it('does not wait for another run that has started meanwhile', async () => {
    const one = producer()
    await one.start()
    const { finish } = store
    // In the same turn as the end of the first.
    drivers[0]!.finish = async (...args) => {
      const ended = await finish(...args)
      await store.lease!('c', { type: 'acquire', token: 'next', leaseMs: 60_000, onLost: 'fail', anew: true }, DEFAULT_HANDLER_OPTIONS.retention)
      return ended
    }
    await channel(1).stop()
    expect(one.runs[0]!.signal.aborted).toBe(true)
    expect(await channel(1).info()).toMatchObject({ running: true, ended: false })
    one.finish()
  })

  it('a viewer that leaves stops nothing', async () => {
    const one = producer()
    await one.start()
    servers[0]!.route('/c', () => channel())
    const reader = await SSEReader.open(`${servers[0]!.url}/c`)
    await reader.until(({ data }) => data.length === 1)
    await reader.close()
    await eventually(() => expect(servers[0]!.context.connections.size).toBe(0))
    await turns(5)
    expect(one.runs[0]!.signal.aborted).toBe(false)
    one.finish()
    await eventually(async () => expect(await channel(1).read()).toMatchObject({ messages: [{}, {}], ended: true }))
  })
})

describe('a producer whose process is gone, or cut off', () => {
  it('is reported to readers within two lease times, newcomers too, and appends nothing any more', async () => {
    const one = producer()
    await one.start()
    servers[1]!.route('/c', () => channel(1))
    await using reader = await SSEReader.open(`${servers[1]!.url}/c`)
    await reader.until(({ data }) => data.length === 1)
    drivers[0]!.fail('all')
    const cutAt = performance.now()
    await eventually(() => expect(reader.controls.at(-1)?.type).toBe('error'))
    expect(performance.now() - cutAt).toBeLessThan(2 * LEASE_MS + LOADED_MS)
    expect(reader.controls.at(-1)).toMatchObject({ code: 'PRODUCER_LOST', statusCode: 503, retry: false })
    await using late = await SSEReader.open(`${servers[1]!.url}/c`)
    await late.until(({ controls }) => controls.at(-1)?.type === 'error')
    expect(late.data).toEqual(['0 begins'])
    expect(await (await fetch(`${servers[1]!.url}/c?transport=poll`)).json()).toMatchObject({ ended: true, error: { code: 'PRODUCER_LOST' } })
    one.finish()
    drivers[0]!.heal()
    await eventually(() => expect(one.released).toBe(1))
    expect(one.runs[0]!.signal.reason).toMatchObject({ code: 'LEASE_LOST' })
    expect(await dataOf(1)).toEqual(['0 begins'])
    await eventually(() => expect(servers[0]!.reported).toMatchObject([{ code: 'LEASE_LOST' }]))
  })

  it('loses nothing in an outage that is shorter than the lease', async () => {
    const one = producer()
    await one.start()
    await eventually(async () => expect(await dataOf()).toEqual(['0 begins']))
    drivers[0]!.fail('all')
    one.finish()
    await eventually(() => expect(drivers[0]!.failed).toBeGreaterThan(0))
    drivers[0]!.heal()
    await eventually(async () => expect(await channel(1).read()).toMatchObject({ messages: [{}, { data: '0 ends' }], ended: true }))
    expect((await channel(1).info()).error).toBeUndefined()
  })

  it('restart: a process that has called `run` resumes where it was, with the last position', async () => {
    const [first, second] = [producer(0), producer(1)]
    await first.start({ onLost: 'restart' })
    await eventually(async () => expect(await dataOf()).toEqual(['0 begins']))
    await second.start({ onLost: 'restart' })
    expect(second.runs).toEqual([])
    drivers[0]!.fail('all')
    await eventually(() => expect(second.runs).toHaveLength(1))
    const { epoch } = await channel(1).info()
    expect(second.runs[0]).toMatchObject({ offset: 1, position: `${epoch}.1` })
    await eventually(() => expect(first.runs[0]!.signal.reason).toMatchObject({ code: 'LEASE_LOST' }))
    drivers[0]!.heal()
    first.finish()
    second.finish()
    await eventually(async () => expect((await channel(1).info()).ended).toBe(true))
    expect(await dataOf(1)).toEqual(['0 begins', '1 begins', '1 ends'])
    expect((await channel(1).info()).error).toBeUndefined()
    expect(first.runs).toHaveLength(1)
  })

  it('with `restart`, and no process that can take over: readers are sent a reconnect, and the next caller resumes in the same log', async () => {
    const one = producer()
    await one.start({ onLost: 'restart' })
    servers[1]!.route('/c', () => channel(1))
    await using reader = await SSEReader.open(`${servers[1]!.url}/c`)
    await reader.until(({ data }) => data.length === 1)
    drivers[0]!.fail('all')
    await eventually(() => expect(reader.controls.at(-1)).toMatchObject({ code: 'PRODUCER_LOST', retry: true }))
    const next = producer(1)
    await next.start({ onLost: 'restart' })
    next.finish()
    await using returned = await SSEReader.open(`${servers[1]!.url}/c`, { headers: { 'last-event-id': reader.messages.at(-1)!.id! } })
    await returned.until(({ controls }) => controls.at(-1)?.type === 'end')
    expect(returned.data).toEqual(['1 begins', '1 ends'])
    expect(returned.controls.map(({ type }) => type)).toEqual(['open', 'end'])
    drivers[0]!.heal()
    one.finish()
  })

  it('is handed over at once by a graceful shutdown', async () => {
    const [first, second] = [producer(0), producer(1)]
    await first.start({ onLost: 'restart' })
    await second.start({ onLost: 'restart' })
    await eventually(async () => expect(await dataOf()).toEqual(['0 begins']))
    const began = performance.now()
    await servers[0]!.context.close()
    await eventually(() => expect(second.runs).toHaveLength(1))
    expect(performance.now() - began).toBeLessThan(LEASE_MS)
    second.finish()
    await eventually(async () => expect((await channel(1).info()).ended).toBe(true))
    expect(await dataOf(1)).toEqual(['0 begins', '1 begins', '1 ends'])
  })

  it('a process that shuts down does not take a run that another one hands over', async () => {
    const [first, second] = [producer(0), producer(1)]
    await first.start({ onLost: 'restart' })
    await second.start({ onLost: 'restart' })
    await eventually(async () => expect(await dataOf()).toEqual(['0 begins']))
    const answer = Promise.withResolvers<void>()
    const looked = Promise.withResolvers<void>()
    const { lease } = drivers[1]!
    drivers[1]!.lease = async (...args) => {
      const given = await lease!(...args)
      if (given.state?.lease && given.state.lease.leftMs <= 0) {
        looked.resolve()
        await answer.promise
      }
      return given
    }
    await servers[0]!.context.close()
    await looked.promise
    servers[1]!.context.leave()
    answer.resolve()
    await turns(10)
    expect(second.runs).toEqual([])
    first.finish()
  })

  it('a store that has lost everything and then fails for a moment: the producer retries, for its messages and for its end', async () => {
    for (const method of ['append', 'finish'] as const) {
      const name = `lost before ${method}`
      const gate = Promise.withResolvers<void>()
      await servers[0]!.channel(name).run(async function* () {
        if (method === 'append') yield 1
        await gate.promise
        if (method === 'append') yield 2
      })
      if (method === 'append') await eventually(async () => expect((await servers[0]!.channel(name).read()).messages).toHaveLength(1))
      await turns(5)
      // The store's answer to the holder of a lease that it does not know; at the request for a new one it is down, and then it recovers.
      const { lease, [method]: call } = drivers[0]!
      let lost = 0
      let away = 0
      Object.assign(drivers[0]!, {
        [method]: async (...args: unknown[]) => {
          if (lost++ === 0) throw new SSEError('LEASE_LOST', 'It is not known.')
          return (call as (...all: unknown[]) => unknown)(...args)
        },
        lease: async (...args: Parameters<NonNullable<typeof lease>>) => {
          if (args[0] === name && away++ === 0) throw new SSEError('DRIVER_UNAVAILABLE', 'It is away.')
          return lease!(...args)
        },
      })
      gate.resolve()
      await eventually(async () => expect(await servers[1]!.channel(name).info()).toMatchObject({ ended: true, lastOffset: method === 'append' ? 2 : 0 }))
      expect((await servers[1]!.channel(name).info()).error).toBeUndefined()
      expect([lost, away > 0]).toEqual([2, true])
      Object.assign(drivers[0]!, { lease, [method]: call })
    }
  })

  it('a stop holds although its producer is gone: no process restarts it', async () => {
    const [first, second] = [producer(0), producer(1)]
    await first.start({ onLost: 'restart' })
    await second.start({ onLost: 'restart' })
    await eventually(async () => expect(await dataOf()).toEqual(['0 begins']))
    drivers[0]!.fail('all')
    await channel(1).stop()
    expect(await channel(1).info()).toMatchObject({ ended: true, error: { code: 'PRODUCER_LOST', retry: false } })
    await turns(5)
    expect(second.runs).toEqual([])
  })
})
