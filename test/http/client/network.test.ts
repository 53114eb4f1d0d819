import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { SSEClientOptions } from '../../../src/runtime/client'
import { eventually } from '../../support/conditions'
import { useMovingClock } from '../../support/moving-clock'
import type { Exchange } from '../../support/scripted-server'
import { message } from '../../support/scripted-server'
import { END, MARK, all, data, failure, useHarness } from './harness'
import { Page } from './model/page'

const clock = useMovingClock()
const harness = useHarness()
beforeEach(() => new Page().install())

/** The page is one of the scripted server, whose probe answers with `probe`; `step` answers its other requests. */
function serve(probe: (x: Exchange) => unknown, step: (x: Exchange) => unknown): void {
  const { origin } = new URL(harness.server.url)
  vi.stubGlobal('location', { href: `${origin}/page`, origin })
  vi.stubGlobal('origin', origin)
  harness.server.script(x => x.url.pathname === '/__sse/probe' ? probe(x) : step(x))
}

const asked = (path: string) => harness.server.exchanges.filter(x => x.url.pathname === path)
const verdict = () => sessionStorage.getItem(`nuxt-sse:${new URL(harness.server.url).origin}`)
const healthy = (x: Exchange) => x.stream(': probe\n\n', MARK)
const held = (x: Exchange) => x.stream('', MARK)
const never = () => {}

/** Opens a route whose first stream is silent, and waits until the network is probed. */
async function opened(options?: SSEClientOptions) {
  const source = harness.open(options)
  const read = all(source)
  read.catch(() => {})
  await eventually(() => expect(asked('/')).toHaveLength(1))
  // Real time counts, too.
  await clock.move(500)
  expect(asked('/__sse/probe')).toEqual([])
  await clock.move(2_600)
  await eventually(() => expect(asked('/__sse/probe')).toHaveLength(1))
  return { source, read }
}

describe('a first stream that is silent for three seconds', () => {
  it('in a healthy network is a slow handler: it has 60 s, and runs once', async () => {
    let answer!: () => void
    serve(healthy, x => void (answer = () => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(END)))
    const { source, read } = await opened()
    await eventually(() => expect(asked('/__sse/probe')[0]!.closed).toBe(true))
    for (let n = 0; n < 5; n++) await clock.move(10_000)
    expect(source.status).toBe('connecting')
    answer()
    expect(data(await read)).toEqual([1])
    expect(asked('/')).toHaveLength(1)
    expect(asked('/__sse/probe')).toHaveLength(1)
    expect(verdict()).toBeNull()
  })

  it('has 60 s, and no more', async () => {
    serve(healthy, never)
    const { source } = await opened({ transports: ['stream', 'poll'], reconnect: { maxAttempts: 1 } })
    await eventually(() => expect(asked('/__sse/probe')[0]!.closed).toBe(true))
    await clock.move(50_000)
    expect(source.status).toBe('connecting')
    await clock.move(11_000)
    await eventually(() => expect(source.error).toMatchObject({ code: 'GAVE_UP' }))
  })

  it.each([
    ['headers and no bytes', held],
    ['nothing at all', never],
  ])('in one whose probe gives %s moves to polling, and that is remembered', async (_, probe) => {
    serve(probe, x => x.isPoll ? x.batch([{ id: 'e1.1', data: 1 }], { ended: true }) : probe(x))
    const { source, read } = await opened()
    await clock.move(2_100)
    expect(data(await read)).toEqual([1])
    expect(source.transport).toBe('poll')
    expect(asked('/').map(x => x.isPoll)).toEqual([false, true])
    expect(verdict()).not.toBeNull()
    await eventually(() => expect(harness.server.exchanges.every(x => x.closed)).toBe(true))
  })

  it('whose request cannot be repeated waits, up to 60 s', async () => {
    let answer!: () => void
    serve(held, x => void (answer = () => x.open().write(message(1)).end(END)))
    const { source, read } = await opened({ method: 'POST' })
    await clock.move(2_100)
    for (let n = 0; n < 5; n++) await clock.move(10_000)
    expect(source.status).toBe('connecting')
    answer()
    expect(data(await read)).toEqual([1])
    expect(asked('/')).toHaveLength(1)
  })

  it('whose route cannot be polled goes back to the stream, and waits', async () => {
    let streams = 0
    serve(held, x => x.isPoll ? x.status(406) : ++streams > 1 ? void setTimeout(() => x.open().write(message(1)).end(END), 20_000) : undefined)
    const { read } = await opened()
    await clock.until(() => expect(streams).toBe(2))
    await clock.move(3_100)
    await clock.move(2_100)
    await clock.move(10_000)
    await clock.move(5_000)
    expect(data(await read)).toEqual([1])
    expect(streams).toBe(2)
  })

  it.each<[string, (x: Exchange) => unknown]>([
    ['404', x => x.status(404)],
    ['401', x => x.status(401)],
    ['a redirect', x => x.status(302, '', { location: '/elsewhere' })],
    ['a page', x => x.status(200)],
    ['a stream that ends without a byte', x => x.stream('', MARK).end()],
    ['a connection that breaks', x => x.cut()],
  ])('stays as it is where the probe gives %s', async (_, probe) => {
    serve(probe, never)
    const { source } = await opened({ reconnect: { maxAttempts: 1 } })
    await eventually(() => expect(asked('/__sse/probe')[0]!.closed || asked('/__sse/probe')[0]!.response.writableEnded).toBe(true))
    await clock.move(5_000)
    expect(source.status).toBe('connecting')
    await clock.move(3_000)
    await eventually(() => expect(source.error).toMatchObject({ code: 'GAVE_UP', message: expect.stringContaining('No data within 10000 ms') }))
    expect(verdict()).toBeNull()
    expect(asked('/elsewhere')).toEqual([])
  })

  it('is probed once for all silent streams of the page', async () => {
    serve(healthy, never)
    const sources = Array.from({ length: 5 }, () => harness.open())
    for (const source of sources) void all(source)
    await eventually(() => expect(asked('/')).toHaveLength(5))
    await clock.move(3_100)
    await eventually(() => expect(asked('/__sse/probe')).not.toEqual([]))
    await clock.move(10_000)
    expect(sources.map(source => source.status)).toEqual(Array.from({ length: 5 }).fill('connecting'))
    expect(asked('/__sse/probe')).toHaveLength(1)
  })
})

describe('the probe is not requested', () => {
  it.each<[string, SSEClientOptions, () => void]>([
    ['where `transports` has no `poll`', { transports: ['stream'] }, () => {}],
    ['where there is no page', {}, () => vi.stubGlobal('location', undefined)],
    ['in a page without an origin of its own', {}, () => vi.stubGlobal('origin', 'null')],
    ['for a route of another origin', {}, () => {
      vi.stubGlobal('location', { href: 'http://page.test/', origin: 'http://page.test' })
      vi.stubGlobal('origin', 'http://page.test')
    }],
  ])('%s', async (_, options, change) => {
    serve(healthy, never)
    change()
    void failure(harness.open({ ...options, reconnect: { maxAttempts: 1 } })).catch(() => {})
    const fetched = vi.spyOn(globalThis, 'fetch')
    await eventually(() => expect(asked('/')).toHaveLength(1))
    await clock.move(3_100)
    await clock.move(3_100)
    expect(fetched.mock.calls.filter(([url]) => String(url).includes('probe'))).toEqual([])
    fetched.mockRestore()
  })

  it('by a stream that has given bytes, in this connection or in an earlier one', async () => {
    let streams = 0
    serve(healthy, x => ++streams === 1 ? x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end() : undefined)
    const source = harness.open()
    void all(source)
    await eventually(() => expect(streams).toBe(2))
    await clock.move(3_100)
    await clock.move(3_100)
    expect(source.status).toBe('reconnecting')
    expect(asked('/__sse/probe')).toEqual([])
  })

  it('where a server of another kind has answered, and is slow', async () => {
    serve(healthy, x => x.stream(''))
    void all(harness.open())
    await eventually(() => expect(asked('/')).toHaveLength(1))
    await clock.move(3_100)
    await clock.move(3_100)
    expect(asked('/__sse/probe')).toEqual([])
  })
})
