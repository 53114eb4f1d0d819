import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createMemoryDriver } from '../../src/runtime/server/drivers/memory/memory'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import { readState } from '../../src/runtime/server/drivers/capabilities'
import type { LogEntry } from '../../src/runtime/server/drivers/types'
import { describeDriver } from './suite'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 60_000, maxBytes: 67_108_864 }

describeDriver('memory', () => ({ driver: createMemoryDriver(RETENTION) }))
// `lease` is optional.
describeDriver('leaseless', () => ({ driver: { ...createMemoryDriver(RETENTION), name: 'leaseless', lease: undefined } }))

// @guarantee bounded
it('forgets logs without messages, readers or a producer when a client opens more and more channels', async () => {
  const driver = createMemoryDriver(RETENTION, 10)
  const epochs = async () => Promise.all(['read', 'written', 'ended', 'filled', 'asked for'].map(async name => (await readState(driver, name)).epoch))
  const off = await driver.subscribe('read', () => {})
  await driver.append('written', [{ data: '1' }], RETENTION)
  await driver.finish('ended', {}, RETENTION)
  await driver.lease('filled', { type: 'acquire', token: 't', leaseMs: 60_000, onLost: 'fail' }, RETENTION)
  const before = await epochs()
  for (let n = 0; n < 100; n++) await readState(driver, `flood ${n}`)
  const after = await epochs()
  expect(after.slice(0, 4)).toEqual(before.slice(0, 4))
  expect(after[4]).not.toBe(before[4])
  // The driver still knows the newest ones.
  const { epoch } = await readState(driver, 'flood 99')
  expect((await readState(driver, 'flood 99')).epoch).toBe(epoch)
  off()
  await driver.close()
})

it('data that a reader or subscriber holds survives its removal from the log, which frees the rest', async () => {
  const retention = { ...RETENTION, maxMessages: 1 }
  const driver = createMemoryDriver(RETENTION)
  const texts = ['a', 'b', 'c', 'd'].map(letter => JSON.stringify(letter.repeat(100_000)))
  await driver.append('c', [{ data: texts[0]! }], retention)
  const { entries: [read] } = await driver.read('c', 0, { messages: 1, bytes: 1 })
  let noticed: LogEntry[] = []
  const off = await driver.subscribe('c', notice => notice.type === 'append' && (noticed = notice.entries))
  await driver.append('c', [{ data: texts[1]! }], retention)
  off()
  await driver.append('c', [{ data: texts[2]! }], retention)
  await driver.append('c', [{ data: texts[3]! }], retention)
  expect([read!, ...noticed, ...(await driver.read('c', 0, { messages: 2, bytes: 1_000_000 })).entries].map(({ data }) => unpackData(data))).toEqual([texts[0], texts[1], texts[3]])
  await driver.close()
})

describe('the memory driver: time', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('has no timer while it has no log, and none after close, whatever requests follow', async () => {
    const driver = createMemoryDriver(RETENTION)
    expect(vi.getTimerCount()).toBe(0)
    await driver.append('c', [{ data: '1' }], RETENTION)
    expect(vi.getTimerCount()).toBe(1)
    await driver.close()
    expect(vi.getTimerCount()).toBe(0)
    await readState(driver, 'c')
    expect(vi.getTimerCount()).toBe(0)
  })

  // @guarantee key-expiry
  it('forgets a log without readers, writers and subscribers, and then has no timer', async () => {
    const driver = createMemoryDriver(RETENTION)
    const { epoch } = await driver.append('c', [{ data: '1' }], RETENTION)
    await vi.advanceTimersByTimeAsync(3_500_000)
    expect((await readState(driver, 'c')).epoch).toBe(epoch)
    await vi.advanceTimersByTimeAsync(3_620_000)
    expect(vi.getTimerCount()).toBe(0)
    expect((await readState(driver, 'c')).epoch).not.toBe(epoch)
    await driver.close()
  })

  it('keeps the epoch of a channel between the polls of a slow client, however short its messages live', async () => {
    const driver = createMemoryDriver(RETENTION)
    const { epoch } = await driver.append('c', [{ data: '1' }], { ...RETENTION, maxAgeMs: 2_000 })
    for (let poll = 0; poll < 10; poll++) {
      await vi.advanceTimersByTimeAsync(300_000)
      expect(await readState(driver, 'c')).toMatchObject({ epoch, first: 2, last: 1 })
    }
    await driver.close()
  })

  it('forgets a channel within minutes if it was only read', async () => {
    const driver = createMemoryDriver(RETENTION)
    await readState(driver, 'c')
    await vi.advanceTimersByTimeAsync(1_220_000)
    expect(vi.getTimerCount()).toBe(0)
    await driver.close()
  })

  it('keeps a log with a producer, however long the producer writes nothing', async () => {
    const driver = createMemoryDriver(RETENTION)
    const { state } = await driver.lease('c', { type: 'acquire', token: 'a', leaseMs: 2_000_000, onLost: 'fail' }, RETENTION)
    await vi.advanceTimersByTimeAsync(1_000_000)
    expect(await driver.lease('c', { type: 'renew', token: 'a', leaseMs: 1_000, onLost: 'fail' }, RETENTION)).toMatchObject({ held: true, state: { epoch: state!.epoch } })
    await driver.close()
  })

  it('keeps the epoch of a log with a subscriber, and drops its old messages by itself', async () => {
    const driver = createMemoryDriver(RETENTION)
    const { epoch } = await driver.append('c', [{ data: '1' }], RETENTION)
    const off = await driver.subscribe('c', () => {})
    await vi.advanceTimersByTimeAsync(1_000_000)
    expect(await readState(driver, 'c')).toEqual({ epoch, first: 2, last: 1, closing: null })
    off()
    await driver.close()
  })

  it('drops messages by the retention of their channel', async () => {
    const driver = createMemoryDriver(RETENTION)
    await driver.append('c', [{ data: '1' }], { maxMessages: 10, maxAgeMs: 600_000, maxBytes: 67_108_864 })
    await vi.advanceTimersByTimeAsync(500_000)
    expect((await readState(driver, 'c')).first).toBe(1)
    await vi.advanceTimersByTimeAsync(200_000)
    expect((await readState(driver, 'c')).first).toBe(2)
    await driver.close()
  })
})
