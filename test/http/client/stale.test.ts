import { describe, expect, it } from 'vitest'
import { control, message } from '../../support/scripted-server'
import { END, all, data, useHarness } from './harness'

const harness = useHarness()
const open = harness.open

const FIRST = control({ type: 'open', heartbeatMs: 0, position: 'e1.0', resumed: false }, 'e1.0') + [1, 2, 3].map(n => message(n, `e1.${n}`)).join('')

describe('an answer that a cache gives to another request', () => {
  it.each([
    ['the first answer again', FIRST],
    ['a later one', control({ type: 'open', heartbeatMs: 0, position: 'e1.1', resumed: true }, 'e1.1') + message(2, 'e1.2')],
    ['one of another life', control({ type: 'open', heartbeatMs: 0, position: 'e0.9', resumed: true }, 'e0.9') + message(9, 'e0.10')],
    ['only its end', control({ type: 'open', heartbeatMs: 0, position: 'e1.3', resumed: true }, 'e1.3') + message(3, 'e1.3')],
  ])('delivers nothing, moves no position, and is requested past the cache: %s', async (_, cached) => {
    const positions: unknown[] = []
    harness.server.script(
      x => x.stream(FIRST).end(),
      x => x.stream(cached).end(),
      (x) => {
        positions.push(source.position)
        x.open({ position: 'e1.3', resumed: true }).write(message(4, 'e1.4')).end(END)
      },
    )
    const source = open()
    expect(data(await all(source))).toEqual([1, 2, 3, 4])
    expect(positions).toEqual(['e1.3'])
    expect(harness.server.exchanges.map(x => [x.query.position, x.position])).toEqual([[undefined, undefined], [undefined, 'e1.3'], ['e1.3', 'e1.3']])
  })

  it('is counted as a failure, and ends in GAVE_UP where it stays', async () => {
    harness.server.script(x => x.stream(FIRST).end())
    const source = open({ reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 4 } })
    const seen: unknown[] = []
    await expect((async () => {
      for await (const one of source) seen.push(one.data)
    })()).rejects.toMatchObject({ code: 'GAVE_UP', cause: { code: 'STALE_ANSWER', retry: true } })
    expect(seen).toEqual([1, 2, 3])
  })

  it('delivers nothing from a batch', async () => {
    const batch = [1, 2].map(n => ({ id: `e1.${n}`, data: n }))
    harness.server.script(x => x.batch(batch), x => x.batch(batch), x => x.batch([{ id: 'e1.3', data: 3 }], { ended: true }))
    expect(data(await all(open({ transports: ['poll'] })))).toEqual([1, 2, 3])
  })

  it('a gap may lead back, and IDs of a route without positions may repeat', async () => {
    harness.server.script(
      x => x.open({ position: 'e1.0' }).write(message(5, 'e1.5')).end(),
      x => x.open({ position: 'e1.2', resumed: false }).write(control({ type: 'gap', reason: 'invalid', missed: null, position: 'e1.2' }) + message(3, 'e1.3')).end(END),
    )
    expect(data(await all(open()))).toEqual([5, 3])
    harness.server.script(x => x.open().write(message(1, 'a.1') + message(1, 'a.1')).end(END))
    expect(data(await all(open()))).toEqual([1, 1])
  })
})
