import { expect, it } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { Lease } from '../../../src/runtime/server/producers/lease'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'

const { retention } = DEFAULT_HANDLER_OPTIONS

it.each([
  ['was stopped', false, 'ABORTED'],
  ['has no reader', 0, 'ABORTED'],
] as const)('a producer that %s gets one signal, however often the lease is renewed meanwhile, and lost', async (_, unreadMs, code) => {
  const driver = createMemoryDriver(retention)
  const lease = new Lease({ driver, channel: 'c', retention, leaseMs: 60_000, onLost: 'fail', unreadMs })
  const told: string[] = []
  lease.onStop = ({ code }) => told.push(code)
  await lease.acquire(false)
  if (unreadMs === false) await driver.lease('c', { type: 'stop' }, retention)
  for (let renewals = 0; renewals < 5; renewals++) expect(await lease.renew()).toBe(true)
  expect(told).toEqual([code])
  await driver.remove('c')
  await driver.lease('c', { type: 'acquire', token: 'other', leaseMs: 60_000, onLost: 'fail' }, retention)
  expect(await lease.renew()).toBe(false)
  expect(told).toEqual([code])
  lease.close()
  await driver.close()
})

it('a producer gets a signal when its lease is lost', async () => {
  const driver = createMemoryDriver(retention)
  const lease = new Lease({ driver, channel: 'c', retention, leaseMs: 60_000, onLost: 'fail', unreadMs: false })
  const told: string[] = []
  lease.onStop = ({ code }) => told.push(code)
  await lease.acquire(false)
  await driver.remove('c')
  await driver.lease('c', { type: 'acquire', token: 'other', leaseMs: 60_000, onLost: 'fail' }, retention)
  expect([await lease.renew(), await lease.renew()]).toEqual([false, false])
  expect(told).toEqual(['LEASE_LOST'])
  await driver.close()
})
