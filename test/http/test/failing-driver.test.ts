import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { FailingDriver } from '../../../src/runtime/test'
import { collectSSE, createFailingDriver, readSSE } from '../../../src/runtime/test'
import { eventually } from '../../support/conditions'
import { useSSEServer } from '../../support/sse-server'

let driver: FailingDriver
const server = useSSEServer({ retryMs: 10 }, { driver: () => driver = createFailingDriver() })
beforeEach(() => server.route('/feed', () => server.channel('feed')))

const publish = (data: unknown, key?: string) => server.channel('feed').publish(data, { key })
const code = (promise: Promise<unknown>) => promise.then(() => 'resolved', error => error.code)
const kept = async () => (await server.channel('feed').read()).messages.map(({ data }) => data)

describe('createFailingDriver: fail', () => {
  it('fails as often as configured, and only the configured operations', async () => {
    driver.fail('append', { times: 2 })
    expect([await code(publish(1)), await code(publish(2)), await code(publish(3))]).toEqual(['DRIVER_UNAVAILABLE', 'DRIVER_UNAVAILABLE', 'resolved'])
    expect(await kept()).toEqual([3])
    expect(driver.failed).toBe(2)
    expect(driver.calls.append).toBe(3)
  })

  it('fails until it is healed, with the configured code, and a route answers 503', async () => {
    driver.fail('all', { code: 'DISK_FULL' })
    expect(await code(publish(1))).toBe('DISK_FULL')
    driver.heal()
    driver.fail('all')
    expect(await collectSSE(`${server.url}/feed`)).toMatchObject({ status: 503, raw: expect.stringContaining('"type":"pending"') })
    driver.heal()
    expect(await code(publish(2))).toBe('resolved')
  })

  it('can lose the answer and not the request: a retry with a key publishes nothing twice', async () => {
    driver.fail('append', { times: 1, lost: 'answer' })
    expect(await code(publish('once', 'k'))).toBe('DRIVER_UNAVAILABLE')
    expect(await code(publish('once', 'k'))).toBe('resolved')
    expect(await kept()).toEqual(['once'])
  })

  it('takes its time to fail, and to work', async () => {
    driver.fail('append', { times: 1, delayMs: 40 })
    driver.slow('append', { times: 2, delayMs: 40 })
    for (const expected of ['DRIVER_UNAVAILABLE', 'resolved']) {
      const started = performance.now()
      expect(await code(publish(1))).toBe(expected)
      expect(performance.now() - started).toBeGreaterThan(35)
    }
  })
})

describe('createFailingDriver: disturb', () => {
  it.each(['drop', 'double', 'late'] as const)('%s: readers get every message once, in order, at the latest when it is healed', async (how) => {
    await using reader = await readSSE<number>(`${server.url}/feed`, { position: 'now' })
    await reader.until(({ controls }) => controls.length === 1)
    driver.disturb(how)
    for (const n of [1, 2, 3]) await publish(n)
    if (how === 'double') await reader.until(({ data }) => data.length === 3)
    else expect(reader.data).toEqual([])
    driver.heal()
    await reader.until(({ data }) => data.length >= 3)
    await publish(4)
    await reader.until(({ data }) => data.includes(4))
    expect(reader.data).toEqual([1, 2, 3, 4])
  })

  it('affects only some, and delays them by the configured time', async () => {
    await using reader = await readSSE<number>(`${server.url}/feed`, { position: 'now' })
    await reader.until(({ controls }) => controls.length === 1)
    driver.disturb('late', { times: 1, delayMs: 60 })
    await publish(1)
    const published = performance.now()
    await reader.until(({ data }) => data.length === 1)
    expect(performance.now() - published).toBeGreaterThan(40)
  })

  it('leaves no timer when the readers have gone, or it is closed', async () => {
    vi.useFakeTimers()
    const alone = createFailingDriver()
    const heard = vi.fn()
    const retention = { maxMessages: 1, maxAgeMs: 1_000, maxBytes: 67_108_864 }
    const off = await alone.subscribe('c', heard)
    await alone.subscribe('c', heard)
    alone.disturb('late', { delayMs: 10 })
    await alone.append('c', [{ data: '1' }], retention)
    off()
    await alone.close()
    expect(vi.getTimerCount()).toBe(0)
    expect(heard).not.toHaveBeenCalled()
    vi.useRealTimers()
  })
})

describe('createFailingDriver: invalid options', () => {
  it.each([
    [() => driver.fail('publish' as never), 'Expected `method` to be `all`, `append`'],
    [() => driver.fail('append', { times: 0 }), 'Expected `times` to be a whole number, at least 1, got `0`.'],
    [() => driver.fail('append', { lost: 'both' as never }), 'Expected `lost` to be'],
    [() => driver.slow('read', {} as never), 'Expected `delayMs` to be a number of milliseconds, at least 0, got `undefined`.'],
    [() => driver.disturb('loudly' as never), 'Expected `how` to be'],
  ])('%s', (call, sentence) => {
    expect(call).toThrow(sentence)
  })
})

it('works with a driver that is a class', async () => {
  const inner = createFailingDriver()
  class Own {
    readonly name = 'own'
    async append(...args: Parameters<FailingDriver['append']>) {
      return this.inner.append(...args)
    }

    inner = inner
    finish = inner.finish
    lease = inner.lease
    read = inner.read
    subscribe = inner.subscribe
    remove = inner.remove
    close = inner.close
  }
  const outer = createFailingDriver(new Own())
  expect((await outer.append('c', [{ data: '1' }], { maxMessages: 1, maxAgeMs: 1_000, maxBytes: 67_108_864 })).offsets).toEqual([1])
  await eventually(async () => expect(inner.calls.append).toBe(1))
  await outer.close()
})
