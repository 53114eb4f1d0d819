import { expect, it } from 'vitest'
import { eventually } from '../../support/conditions'
import { useMovingClock } from '../../support/moving-clock'
import { message } from '../../support/scripted-server'
import { END, MARK, all, data, failure, useHarness } from './harness'

const clock = useMovingClock()
const harness = useHarness()

/** Ten seconds are the default of `connectTimeoutMs`. */
const LONG_MS = 30_000

/** Until the client has the headers: it counts the time from then on, not the wait for them. */
async function answered(): Promise<void> {
  await eventually(() => expect(harness.server.exchanges).toHaveLength(1))
  // Sockets of this process: after an answer of another request, this one's headers are here.
  await fetch(`${harness.server.url}after`).then(response => response.text())
}

it.each(['GET', 'POST'])('%s: another server that answers at once may take any time for its first token', async (method) => {
  harness.server.script(x => x.url.pathname === '/after' ? x.status(200, 'ok') : x.stream())
  const source = harness.open({ method, connectTimeoutMs: 10_000 })
  const read = all(source)
  await answered()
  await clock.move(LONG_MS)
  harness.server.exchanges[0]!.write(message(1))
  await eventually(() => expect(source.status).toBe('connected'))
  expect(harness.server.exchanges.filter(x => x.url.pathname !== '/after')).toHaveLength(1)
  harness.server.script(x => x.status(204))
  harness.server.exchanges[0]!.end()
  if (method === 'POST') return expect(await read.catch((error: Error) => error)).toMatchObject({ code: 'INTERRUPTED' })
  expect(data(await read)).toEqual(['1'])
})

it('another server that stays silent longer than `silenceTimeoutMs` is a failure', async () => {
  harness.server.script(x => x.url.pathname === '/after' ? x.status(200, 'ok') : x.stream())
  const source = harness.open({ silenceTimeoutMs: 20_000, reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 1 } })
  const failed = failure(source)
  await answered()
  await clock.move(15_000)
  expect(source.status).toBe('connecting')
  await clock.move(10_000)
  expect(await failed).toMatchObject({ code: 'GAVE_UP', cause: { code: 'SILENCE' } })
})

it('the marked headers of a server of ours without a byte are a silent attempt: polling takes over', async () => {
  harness.server.script(
    (x) => {
      x.stream('', MARK)
      void clock.move(LONG_MS)
    },
    (x) => {
      x.stream('', MARK)
      void clock.move(LONG_MS)
    },
    x => x.batch([{ id: 'e1.1', data: 1 }], { ended: true }),
  )
  expect(data(await all(harness.open()))).toEqual([1])
  expect(harness.server.exchanges.map(x => x.isPoll)).toEqual([false, false, true])
})

it('unmarked headers of a known server of ours are a silent attempt too, since a page of another origin may not see the mark', async () => {
  harness.server.script(
    x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(),
    (x) => {
      x.stream()
      void clock.move(LONG_MS)
    },
    x => x.open({ position: 'e1.1', resumed: true }).end(END),
  )
  expect(data(await all(harness.open()))).toEqual([1])
})

it('no headers at all are a silent attempt, from any server', async () => {
  harness.server.script(() => void clock.move(LONG_MS), x => x.stream(message(1)).end(), x => x.status(204))
  const source = harness.open()
  expect(data(await all(source))).toEqual(['1'])
})
