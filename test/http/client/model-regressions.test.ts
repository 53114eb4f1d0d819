import { beforeEach, expect, it, vi } from 'vitest'
import { eventually } from '../../support/conditions'
import { message } from '../../support/scripted-server'
import { END, all, data, useHarness } from './harness'
import { Page } from './model/page'

// Found by the model test. That a page on its way to the back-forward cache reconnected is in page-life.test.ts.
const harness = useHarness()
let page: Page
beforeEach(() => {
  page = new Page()
  page.install()
})

it('is not `connected` to a poll whose answer is that it cannot be polled any more', async () => {
  harness.server.script(x => x.batch([{ id: 'e1.1', data: 1 }]), x => x.status(406, { message: 'no' }), () => {})
  const source = harness.open({ transports: ['poll', 'stream'] })
  void all(source)
  await eventually(() => expect(harness.server.exchanges).toHaveLength(3))
  expect(source).toMatchObject({ status: 'reconnecting', transport: 'stream', position: 'e1.1' })
})

it('a token that was requested before the machine slept has its chance to arrive', async () => {
  let give!: (headers: HeadersInit) => void
  harness.server.script(x => x.open().write(message(1)).end(END))
  const source = harness.open({ reconnect: { maxAttempts: 1 }, headers: () => new Promise<HeadersInit>(resolve => give = resolve) })
  const read = all(source)
  const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000)
  page.dispatch('resume', 'online')
  give({ authorization: 'fresh' })
  expect(data(await read)).toEqual([1])
  expect(harness.server.exchanges[0]!.request.headers.authorization).toBe('fresh')
  now.mockRestore()
})
