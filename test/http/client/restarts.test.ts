import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/conditions'
import type { Exchange } from '../../support/scripted-server'
import { control, message } from '../../support/scripted-server'
import { END, all, data, failure, useHarness } from './harness'
import { openTab, share, useSharers } from './sharer'

const harness = useHarness()
useSharers()

const RESTARTED = { reason: 'restarted', missed: null }
const UNKNOWN = { reason: 'unknown', missed: null }
const FAILED = control({ type: 'error', code: 'SOURCE_FAILED', statusCode: 500, message: 'no', retry: true })

describe('a reconnect to a source without positions', () => {
  it('a run that starts over is a gap, once there were messages', async () => {
    harness.server.script(
      x => x.open({ restarts: true }).end(),
      x => x.open({ restarts: true }).write(message(1)).end(),
      x => x.open({ restarts: true }).write(message(1)).end(END),
    )
    const source = harness.open()
    const gaps: unknown[] = []
    const seen: unknown[] = []
    for await (const one of source) {
      seen.push(one.data)
      gaps.push(source.gap)
    }
    expect([seen, gaps[0], source.gap]).toEqual([[1, 1], undefined, RESTARTED])
    expect(source.gap).not.toHaveProperty('position')
  })

  it('missed pushes of a push API are unknown, with or without earlier messages', async () => {
    harness.server.script(x => x.status(503), x => x.open({ restarts: false }).end(), x => x.open({ restarts: false }).write(message(1)).end(END))
    const source = harness.open()
    expect(data(await all(source))).toEqual([1])
    expect(source.gap).toEqual(UNKNOWN)
  })

  it.each([
    ['a first connection, however often it failed before', [(x: Exchange) => x.status(503), (x: Exchange) => x.open({ restarts: false }).end(END)]],
    ['a stream of another server', [(x: Exchange) => x.stream(message(1)).end(), (x: Exchange) => x.stream(message(2)).end(control({ type: 'open', restarts: true })), (x: Exchange) => x.status(204)]],
    ['a source with positions', [(x: Exchange) => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(), (x: Exchange) => x.open({ position: 'e1.1', resumed: true }).end(END)]],
    ['words that are no boolean', [(x: Exchange) => x.open({ restarts: 'yes' }).write(message(1)).end(), (x: Exchange) => x.open({ restarts: 0 }).end(END)]],
  ])('%s is no gap', async (_, script) => {
    harness.server.script(...script as never[])
    const source = harness.open({ reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 3 } })
    await all(source).catch(() => {})
    expect(source.gap).toBeUndefined()
  })

  it('the calls that share a connection see the gap, and a newcomer sees none', async () => {
    harness.server.script(x => x.open({ restarts: true }).write(message(1)), x => x.open({ restarts: true }).write(message(2)))
    const one = share(harness.server.url)
    const two = share(harness.server.url)
    await eventually(() => expect([one.seen, two.seen]).toEqual([[1], [1]]))
    harness.server.exchanges[0]!.end()
    await eventually(() => expect([one.seen, two.seen]).toEqual([[1, 2], [1, 2]]))
    expect([one.state.gap, two.state.gap]).toEqual([RESTARTED, RESTARTED])
    const late = share(harness.server.url)
    await eventually(() => expect(late.state.status).toBe('connected'))
    expect(late.state.gap).toBeUndefined()
  })

  it('a tab that leads after another knows what the other had', async () => {
    harness.server.script(x => x.open({ restarts: true }).write(message(harness.server.exchanges.length)))
    const first = (await openTab())(harness.server.url)
    await eventually(() => expect(first.seen).toEqual([1]))
    const second = (await openTab())(harness.server.url)
    await eventually(() => expect(second.state.status).toBe('connected'))
    harness.server.exchanges[0]!.write(message('both'))
    await eventually(() => expect(second.seen).toEqual(['both']))
    first.stop()
    await eventually(() => expect(second.seen).toEqual(['both', 2]))
    expect(second.state.gap).toEqual(RESTARTED)
  })
})

describe('a run that fails', () => {
  it('is given up after five failures of its own in a row, although each gave messages', async () => {
    harness.server.script(x => x.open({ restarts: true }).write(message(1)).end(FAILED))
    expect(await failure(harness.open())).toMatchObject({ code: 'GAVE_UP', cause: { code: 'SOURCE_FAILED' }, statusCode: 500 })
    expect(harness.server.exchanges).toHaveLength(5)
  })

  it('is given up earlier with `maxAttempts`, and not for a source that starts nothing', async () => {
    harness.server.script(x => x.open({ restarts: true }).write(message(1)).end(FAILED))
    await failure(harness.open({ reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 2 } }))
    expect(harness.server.exchanges).toHaveLength(2)
    harness.server.exchanges.length = 0
    harness.server.script(x => harness.server.exchanges.length < 8 ? x.open({ restarts: false }).write(message(1)).end(FAILED) : x.open().end(END))
    await all(harness.open())
    expect(harness.server.exchanges).toHaveLength(8)
  })

  it('a run that ends otherwise resets the count, and connect() does', async () => {
    harness.server.script(x => harness.server.exchanges.length === 12
      ? x.open({ restarts: true }).end(END)
      : x.open({ restarts: true }).write(message(1)).end(harness.server.exchanges.length % 4 ? FAILED : control({ type: 'leave', retryMs: 1 })))
    await all(harness.open())
    expect(harness.server.exchanges).toHaveLength(12)
  })
})
