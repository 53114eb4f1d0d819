import { afterEach, expect, it, vi } from 'vitest'
import { eventually } from '../../support/conditions'
import { message } from '../../support/scripted-server'
import { END, QUICK, all, data, failure, useHarness } from './harness'

const CODE = '../../../src/runtime/shared/encode-body'
const harness = useHarness()
afterEach(() => void vi.doUnmock(CODE))

/** The code for bodies, which cannot be loaded until `arrive()` is called. `loads`: number of loads so far. */
function withhold(): { arrive: () => void, loads: () => number } {
  vi.resetModules()
  let isMissing = true
  const load = vi.fn(async (actual: () => Promise<object>) => {
    if (isMissing) throw new TypeError('Failed to fetch dynamically imported module')
    return await actual()
  })
  vi.doMock(CODE, load)
  return { arrive: () => void (isMissing = false), loads: () => load.mock.calls.length }
}

it('a request with a body waits for the code that encodes it, and is tried again until that has arrived', async () => {
  const { arrive, loads } = withhold()
  harness.server.script(x => x.open().write(message(1)).end(END))
  const source = harness.open({ ...QUICK, body: { a: 1 } })
  const messages = all(source)
  await eventually(() => expect(loads()).toBeGreaterThan(1))
  expect(source.error).toMatchObject({ code: 'NETWORK', message: 'Part of the client failed to load' })
  expect(harness.server.exchanges).toHaveLength(0)
  arrive()
  expect(data(await messages)).toEqual([1])
  expect(harness.server.exchanges.map(({ request, body }) => [request.method, body])).toEqual([['POST', '{"a":1}']])
})

it('gives up after `maxAttempts` where the code never arrives, without a request', async () => {
  withhold()
  harness.server.script(x => x.status(204))
  const source = harness.open({ reconnect: { ...QUICK.reconnect, maxAttempts: 3 }, body: 'x' })
  expect(await failure(source)).toMatchObject({ code: 'GAVE_UP', cause: { code: 'NETWORK' } })
  expect(harness.server.exchanges).toHaveLength(0)
})

it('a call without a body never loads it', async () => {
  const { loads } = withhold()
  harness.server.script(x => x.open().write(message(1)).end(END))
  expect(data(await all(harness.open({ method: 'POST', headers: { 'x-a': '1' }, query: { a: 1 } })))).toEqual([1])
  expect(loads()).toBe(0)
})
