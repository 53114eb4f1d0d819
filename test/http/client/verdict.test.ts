import { beforeEach, describe, expect, it, vi } from 'vitest'
import { eventually } from '../../support/conditions'
import { useMovingClock } from '../../support/moving-clock'
import type { Exchange } from '../../support/scripted-server'
import { control, message } from '../../support/scripted-server'
import { END, MARK, all, data, useHarness } from './harness'
import { Page } from './model/page'

const clock = useMovingClock()
const harness = useHarness()
let page: Page
beforeEach(() => {
  page = new Page()
  page.install()
})

const CONNECT_TIMEOUT_MS = 10_000

/** The headers of a stream and not one byte, until the client no longer waits for the first. */
function mute(x: Exchange): void {
  x.stream('', MARK)
  void clock.move(CONNECT_TIMEOUT_MS)
}

const verdict = () => JSON.parse(sessionStorage.getItem(`nuxt-sse:${new URL(harness.server.url).origin}`) ?? 'null')
const remember = (probeAt: number) => sessionStorage.setItem(`nuxt-sse:${new URL(harness.server.url).origin}`, JSON.stringify({ probeAt, probeWaitMs: 60_000 }))

function forbidden(): never {
  throw new DOMException('no', 'SecurityError')
}

// @guarantee buffering-proxy
describe('the verdict that streams are silent', () => {
  // @guarantee buffering-proxy
  it('is remembered for the session: the next client starts with polling', async () => {
    harness.server.script(x => x.isPoll ? x.batch([{ id: 'e1.1', data: 1 }], { ended: true }) : mute(x))
    expect(data(await all(harness.open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })))).toEqual([1])
    expect(verdict().probeAt - Date.now()).toBeGreaterThan(50_000)
    harness.server.script(x => x.batch([{ id: 'e1.2', data: 2 }], { ended: true }))
    expect(data(await all(harness.open()))).toEqual([2])
    expect(harness.server.exchanges.map(x => x.isPoll)).toEqual([false, false, true, true])
  })

  it('is taken back by a stream that opens, and the two never deliver at once', async () => {
    remember(0)
    const log = [1, 2, 3, 4].map(n => ({ id: `e1.${n}`, data: n }))
    const from = (position = 'e1.0') => Number(position.split('.')[1])
    let streams = 0
    harness.server.script(async (x) => {
      if (x.isPoll) {
        // The first attempt has two requests; later ones wait.
        if (!x.position) x.batch(log.slice(0, 2))
        return
      }
      // The first is the probe: it is released, with its poll still there.
      if (++streams === 1) return x.open({ position: x.position ?? 'e1.0' })
      // The second delivers: everything open is released before this one gives a byte.
      await eventually(() => expect(harness.server.exchanges.filter(one => one !== x && !one.closed)).toEqual([]))
      x.open({ position: x.position }).write(log.slice(from(x.position)).map(one => message(one.data, one.id)).join('')).end(END)
    })
    const source = harness.open()
    expect(data(await all(source))).toEqual([1, 2, 3, 4])
    expect(source.transport).toBe('stream')
    expect(streams).toBe(2)
    expect(verdict()).toBeNull()
    await eventually(() => expect(harness.server.exchanges.every(x => x.closed)).toBe(true))
  })

  it('is not tried again without the position that the poll is about to give', async () => {
    remember(0)
    let streams = 0
    harness.server.script((x) => {
      if (x.isPoll) return x.position || x.batch([{ id: 'e1.1', data: 1 }])
      x.open({ position: x.position })
      // The first is the probe.
      if (++streams > 1) x.write(message(2, 'e1.2')).end(END)
    })
    expect(data(await all(harness.open()))).toEqual([1, 2])
    expect(streams).toBe(2)
    expect(harness.server.exchanges.filter(x => !x.position).map(x => x.isPoll)).toEqual([true])
  })

  it('is put off by twice as long each time, up to 15 minutes', async () => {
    remember(0)
    harness.server.script((x) => {
      // Polls wait, and a stream gets nothing but its headers.
      if (!x.isPoll) mute(x)
      else if (!x.position) x.batch([], { position: 'e1.0' })
    })
    const source = harness.open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
    for (const waitMs of [120_000, 240_000, 480_000, 900_000, 900_000]) {
      await eventually(() => expect(verdict().probeWaitMs).toBe(waitMs))
      const { probeAt } = verdict()
      expect(probeAt - Date.now()).toBeGreaterThan(waitMs - 2 * CONNECT_TIMEOUT_MS)
      expect(source).toMatchObject({ status: 'connected', transport: 'poll' })
      if (waitMs < 900_000) {
        page.dispatch('online')
        await eventually(() => expect(verdict().probeAt).not.toBe(probeAt))
      }
    }
  })

  it('does not make a request that cannot be repeated start with a poll', async () => {
    remember(Date.now() + 60_000)
    harness.server.script(x => x.open().write(message(1)).end(END))
    await all(harness.open({ method: 'POST' }))
    expect(harness.server.exchanges.map(x => x.isPoll)).toEqual([false])
  })

  it.each([
    ['missing', undefined],
    ['forbidden', { getItem: forbidden, setItem: forbidden, removeItem: forbidden }],
    ['full of something else', { getItem: () => '{"probeAt":"soon"}', setItem: () => {}, removeItem: () => {} }],
  ])('is known to the client alone where the storage is %s', async (_, storage) => {
    vi.stubGlobal('sessionStorage', storage)
    harness.server.script(x => x.isPoll ? x.batch([{ id: 'e1.1', data: 1 }], { ended: true }) : mute(x))
    expect(data(await all(harness.open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })))).toEqual([1])
    expect(harness.server.exchanges.map(x => x.isPoll)).toEqual([false, false, true])
  })
})

describe('options that are functions', () => {
  it.each(['headers', 'query', 'body'] as const)('%s that never settle are given up, and called again', async (name) => {
    let asked = 0
    harness.server.script(x => x.stream(control({ type: 'open' }) + message(1)).end(END))
    const source = harness.open({ method: name === 'body' ? 'POST' : 'GET', connectTimeoutMs: CONNECT_TIMEOUT_MS, [name]: () => ++asked === 1 ? new Promise(() => {}) : undefined })
    const read = all(source)
    await eventually(() => expect(asked).toBe(1))
    await clock.move(CONNECT_TIMEOUT_MS)
    expect(data(await read)).toEqual([1])
    expect(asked).toBe(2)
  })
})
