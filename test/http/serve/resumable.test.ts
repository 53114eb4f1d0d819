import { createError, getRequestHeader, readBody } from 'h3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import type { SSEOwnHandlerOptions } from '../../../src/runtime/server/options'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { SSEBatch } from '../../../src/runtime/shared/protocol'
import { eventually } from '../../support/conditions'
import { createFailingDriver } from '../../../src/runtime/test'
import type { FailingDriver } from '../../../src/runtime/test'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import { streamOf } from '../../support/streams'
import { startSSEServer } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'
import { failOnUnhandledRejections } from '../../support/unhandled'

failOnUnhandledRejections()

const WINDOW_MS = 300

interface Run {
  /** Lets it yield that many more numbers, and then end. */
  give(count: number, end?: boolean): void
  given: number
  signal: AbortSignal
  released: boolean
}

/** Two servers on one store, with one resumable route. */
let store: LogDriver
let drivers: FailingDriver[]
let servers: TestServer[]
let runs: Run[]
let handled: number
beforeEach(async () => {
  store = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
  drivers = [0, 1].map(() => createFailingDriver({ ...store, close: async () => {} }))
  servers = await Promise.all(drivers.map(driver => startSSEServer({ leaseMs: 800, resumeWindowMs: WINDOW_MS, retryMs: 10, shutdownMs: 0 }, driver)))
  runs = []
  handled = 0
  route('/count', {})
})
afterEach(async () => {
  for (const driver of drivers) driver.heal()
  await Promise.all(servers.map(server => server.close()))
  await store.close()
})

function route(path: string, options: SSEOwnHandlerOptions): void {
  for (const server of servers) {
    server.route(path, (event, connection) => {
      handled++
      if (getRequestHeader(event, 'authorization') === 'Bearer bad') throw createError({ statusCode: 401, message: 'Sign in first.' })
      return count(connection.signal)
    }, { resumable: true, ...options })
  }
}

async function* count(signal: AbortSignal) {
  let allowed = 0
  let end = false
  let more = Promise.withResolvers<void>()
  const run: Run = {
    give(count, last = false) {
      allowed += count
      end ||= last
      more.resolve()
    },
    given: 0,
    signal,
    released: false,
  }
  runs.push(run)
  signal.addEventListener('abort', () => more.resolve())
  try {
    while (!signal.aborted) {
      while (run.given < allowed) yield { n: ++run.given }
      if (end) return
      await more.promise
      more = Promise.withResolvers()
    }
  }
  finally {
    run.released = true
  }
}

const open = (at = 0, position?: string, { path = '/count', ...headers }: Record<string, string> = {}) =>
  SSEReader.open(servers[at]!.url + path, { headers: { ...position !== undefined && { 'last-event-id': position }, ...headers } })
const poll = async (at = 0, query = '') => (await fetch(`${servers[at]!.url}/count?transport=poll${query}`)).json() as Promise<SSEBatch<{ n: number }>>
const numbers = ({ data }: SSEReader) => data.map(item => (item as { n: number }).n)
const producers = () => servers.reduce((sum, { context }) => sum + context.producers.size, 0)

/** Opens a stream and lets its run yield `count` numbers. */
async function started(count: number): Promise<{ reader: SSEReader, run: Run, position: string }> {
  const reader = await open()
  await reader.until(({ controls }) => controls.length > 0)
  await eventually(() => expect(runs).toHaveLength(1))
  runs[0]!.give(count)
  await reader.until(({ data }) => data.length === count)
  return { reader, run: runs[0]!, position: reader.messages.at(-1)?.id ?? reader.controls[0]!.position as string }
}

describe('resumable', () => {
  it('a reconnect, to another instance, continues the same run, and starts no other', async () => {
    const { reader, run, position } = await started(2)
    await reader.close()
    run.give(2)
    await using back = await open(1, position)
    await back.until(({ data }) => data.length === 2)
    run.give(1, true)
    await back.until(({ controls }) => controls.at(-1)?.type === 'end')
    expect(numbers(back)).toEqual([3, 4, 5])
    expect(back.controls).toMatchObject([{ type: 'open', position, resumed: true }, { type: 'end' }])
    expect([runs.length, handled, run.released]).toEqual([1, 2, true])
    // Read to its end: the 204 that stops a native EventSource.
    expect((await open(0, back.messages.at(-1)!.id)).status).toBe(204)
    expect(runs).toHaveLength(1)
  })

  it('each newcomer has a run of its own, under an epoch that cannot be guessed', async () => {
    await using one = await open(0)
    await using two = await open(1)
    for (const reader of [one, two]) await reader.until(({ controls }) => controls.length > 0)
    await eventually(() => expect(runs).toHaveLength(2))
    runs[0]!.give(1)
    runs[1]!.give(2)
    await eventually(() => expect([numbers(one), numbers(two)].sort()).toEqual([[1], [1, 2]]))
    const epochs = [one, two].map(({ controls }) => (controls[0]!.position as string).split('.')[0]!)
    expect(new Set(epochs).size).toBe(2)
    for (const epoch of epochs) expect(epoch).toMatch(/^e[a-z0-9]{26}$/)
  })

  it('can be polled from the start, and changes transport on the way', async () => {
    const first = await poll(0, '&waitMs=0')
    expect(first).toMatchObject({ messages: [], ended: false, gap: null })
    await eventually(() => expect(runs).toHaveLength(1))
    runs[0]!.give(2)
    const second = await poll(1, `&position=${first.position}`)
    expect(second.messages.map(({ data }) => data.n)).toEqual([1, 2])
    await using reader = await open(0, second.position)
    runs[0]!.give(1)
    await reader.until(({ data }) => data.length === 1)
    runs[0]!.give(1, true)
    await reader.until(({ controls }) => controls.at(-1)?.type === 'end')
    expect(numbers(reader)).toEqual([3, 4])
    expect(await poll(1, `&position=${first.position}`)).toMatchObject({ messages: [1, 2, 3, 4].map(n => ({ data: { n } })), ended: true })
    expect(runs).toHaveLength(1)
  })

  it('a newcomer gets all of it, also with `from: now` and `?position=now`', async () => {
    for (const server of servers) server.route('/now', () => streamOf({ n: 1 }, { n: 2 }), { resumable: true, from: 'now' })
    await using one = await open(0, undefined, { path: '/now' })
    await using two = await open(0, undefined, { path: '/now?position=now' })
    for (const reader of [one, two]) {
      await reader.until(({ controls }) => controls.at(-1)?.type === 'end')
      expect(numbers(reader)).toEqual([1, 2])
    }
  })

  // @guarantee replay-access
  it('the handler\'s own checks run again first, and its new generator is never started', async () => {
    const { reader, position } = await started(1)
    await reader.close()
    expect((await open(1, position, { authorization: 'Bearer bad' })).status).toBe(401)
    await using back = await open(1, position)
    await back.until(({ controls }) => controls.length > 0)
    expect([handled, runs.length]).toEqual([3, 1])
  })

  it('a position is worth nothing on another route, nor for another user where `clientKey` identifies users', async () => {
    route('/other', {})
    const own = { clientKey: (event: Parameters<NonNullable<SSEOwnHandlerOptions['clientKey']>>[0]) => getRequestHeader(event, 'x-user') }
    route('/own', own)
    const { reader, position } = await started(2)
    await using other = await open(1, position, { path: '/other' })
    await other.until(({ controls }) => controls.length > 1)
    expect(other.controls).toMatchObject([{ type: 'open', resumed: false }, { type: 'gap', reason: 'epoch' }])
    expect(other.data).toEqual([])

    await using mine = await open(0, undefined, { 'path': '/own', 'x-user': 'ann' })
    await mine.until(({ controls }) => controls.length > 0)
    await eventually(() => expect(runs).toHaveLength(3))
    runs[2]!.give(1)
    await mine.until(({ data }) => data.length === 1)
    const stolen = mine.messages[0]!.id!
    await using thief = await open(1, stolen, { 'path': '/own?position=0', 'x-user': 'bob' })
    await thief.until(({ controls }) => controls.length > 1)
    expect(thief.controls.at(-1)).toMatchObject({ type: 'gap', reason: 'epoch' })
    expect(thief.data).toEqual([])
    await using again = await open(1, stolen, { 'path': '/own', 'x-user': 'ann' })
    await again.until(({ controls }) => controls.length > 0)
    expect(again.controls[0]).toMatchObject({ resumed: true })
    await reader.close()
  })

  it('a store that was rolled back gives the same log another epoch, and the run is found by it', async () => {
    const { reader, position } = await started(2)
    await reader.close()
    const [epoch] = position.split('.')
    await using back = await open(1, `${epoch}e7x3m2k9a.1`)
    await back.until(({ data }) => data.length === 2)
    expect(back.controls).toMatchObject([{ type: 'open', resumed: false }, { type: 'gap', reason: 'epoch' }])
    expect([numbers(back), runs.length]).toEqual([[1, 2], 1])
    // And by no other epoch that only starts with the same characters.
    await using other = await open(1, `${epoch!.slice(0, -1)}.1`)
    await other.until(({ controls }) => controls.length > 1)
    expect(other.data).toEqual([])
    await eventually(() => expect(runs).toHaveLength(2))
  })

  it.each(['eabc.1', '7', 'nonsense'])('a client with a position of no run (%s) gets a run from its beginning, and a gap', async (position) => {
    await using reader = await open(0, position)
    await reader.until(({ controls }) => controls.length > 1)
    expect(reader.controls[1]).toMatchObject({ type: 'gap', reason: position === 'eabc.1' ? 'epoch' : 'invalid' })
    await eventually(() => expect(runs).toHaveLength(1))
    runs[0]!.give(1)
    await reader.until(({ data }) => data.length === 1)
    expect(numbers(reader)).toEqual([1])
  })

  it('a run without a reader for its window is aborted, and its `finally` runs', async () => {
    const { reader, run, position } = await started(1)
    await reader.close()
    const left = performance.now()
    await eventually(() => expect(run.released).toBe(true))
    expect(performance.now() - left).toBeGreaterThan(WINDOW_MS * 0.6)
    expect(run.signal.aborted).toBe(true)
    await eventually(() => expect(producers()).toBe(0))
    // A late reader learns that the run was cut short, and starts no other.
    await using late = await open(1, position)
    await late.until(({ controls }) => controls.at(-1)?.type === 'error')
    expect(late.controls.at(-1)).toMatchObject({ code: 'ABORTED', retry: false })
    expect(runs).toHaveLength(1)
  })

  it('a reader on another instance, and one that polls, keep it running', async () => {
    const { reader, run, position } = await started(1)
    await reader.close()
    const begun = performance.now()
    {
      await using back = await open(1, position)
      await back.until(({ controls }) => controls.length > 0)
      await eventually(() => expect(performance.now() - begun).toBeGreaterThan(2 * WINDOW_MS))
    }
    while (performance.now() - begun < 4 * WINDOW_MS) await poll(1, `&position=${position}&waitMs=50`)
    expect([run.released, producers()]).toEqual([false, 1])
    await eventually(() => expect(run.released).toBe(true))
  })

  it('an outage of the store that is longer than the window, and shorter than the lease, is not a window without a reader', async () => {
    const { reader, run } = await started(1)
    for (const driver of drivers) driver.fail('all')
    const downAt = performance.now()
    await eventually(() => expect(performance.now() - downAt).toBeGreaterThan(1.5 * WINDOW_MS))
    for (const driver of drivers) driver.heal()
    await eventually(() => expect(performance.now() - downAt).toBeGreaterThan(3.5 * WINDOW_MS))
    expect(run.signal.reason).toBeUndefined()
    run.give(1)
    await reader.until(({ data }) => data.length === 2)
    // The window counts again.
    await reader.close()
    await eventually(() => expect(run.released).toBe(true))
  })

  // @guarantee clean
  it('work that a handler starts on its signal ends with its viewer, as long as no run has started: left, refused, push API', async () => {
    const signals: AbortSignal[] = []
    const busy = Promise.withResolvers<void>()
    const route = (path: string, handler: () => unknown) => servers[0]!.route(path, (_, connection) => {
      signals.push(connection.signal)
      return handler()
    }, { resumable: true })
    route('/slow', () => busy.promise)
    route('/refused', () => {
      throw createError({ statusCode: 401, message: 'Sign in first.' })
    })
    route('/push', () => undefined)
    route('/channel', () => servers[0]!.channel('feed'))
    for (const query of ['', '?transport=poll']) {
      const left = new AbortController()
      fetch(`${servers[0]!.url}/slow${query}`, { signal: left.signal }).catch(() => {})
      await eventually(() => expect(signals).toHaveLength(1))
      expect(signals[0]!.aborted).toBe(false)
      left.abort()
      await eventually(() => expect(signals[0]!.aborted).toBe(true))
      signals.length = 0
      expect((await fetch(`${servers[0]!.url}/refused${query}`)).status).toBe(401)
      await eventually(() => expect(signals.map(({ aborted }) => aborted)).toEqual([true]))
      signals.length = 0
    }
    expect((await fetch(`${servers[0]!.url}/push?transport=poll`)).status).toBe(406)
    await eventually(() => expect(signals.map(({ aborted }) => aborted)).toEqual([true]))
    signals.length = 0
    for (const path of ['/push', '/channel']) {
      const reader = await open(0, undefined, { path })
      await reader.until(({ controls }) => controls.length > 0)
      expect(signals[0]!.aborted).toBe(false)
      await reader.close()
      await eventually(() => expect(signals[0]!.aborted).toBe(true))
      signals.length = 0
    }
    busy.resolve()
  })

  // @guarantee early-disconnect
  it('nothing starts for a client that left while its handler was busy', async () => {
    const busy = Promise.withResolvers<void>()
    servers[0]!.route('/slow', async (_, connection) => {
      handled++
      await busy.promise
      return count(connection.signal)
    }, { resumable: true })
    const left = new AbortController()
    for (const path of ['/slow', '/slow?transport=poll']) fetch(servers[0]!.url + path, { signal: left.signal }).catch(() => {})
    await eventually(() => expect(handled).toBe(2))
    left.abort()
    await eventually(() => expect(servers[0]!.sockets.size).toBe(0))
    busy.resolve()
    await turns(10)
    expect([runs.length, producers()]).toEqual([0, 0])
  })

  it('a POST, its body read: cut, polled, requested with HEAD, and read to its end, is one run', async () => {
    let asked = 0
    for (const server of servers) {
      server.route('/ask', async (event, connection) => {
        if (event.method === 'POST' && (await readBody<{ prompt?: string }>(event)).prompt !== 'Why?') throw createError({ statusCode: 422, message: 'Ask something.' })
        asked++
        return count(connection.signal)
      }, { resumable: true })
    }
    const init = { method: 'POST', body: JSON.stringify({ prompt: 'Why?' }), headers: { 'content-type': 'application/json' } }
    const first = await SSEReader.open(`${servers[0]!.url}/ask`, init)
    await eventually(() => expect(runs).toHaveLength(1))
    runs[0]!.give(2)
    await first.until(({ data }) => data.length === 2)
    await first.close()
    const at = first.messages[0]!.id!
    expect((await fetch(`${servers[1]!.url}/ask?position=${at}`, { ...init, body: '{}' })).status).toBe(422)
    const batch = await (await fetch(`${servers[1]!.url}/ask?transport=poll&position=${at}`, init)).json() as SSEBatch<{ n: number }>
    expect(batch.messages.map(({ data }) => data.n)).toEqual([2])
    expect((await fetch(`${servers[0]!.url}/ask`, { method: 'HEAD', headers: { 'last-event-id': at } })).status).toBe(200)
    runs[0]!.give(1, true)
    await using back = await SSEReader.open(`${servers[0]!.url}/ask?position=${batch.position}`, init)
    await back.until(({ controls }) => controls.at(-1)?.type === 'end')
    expect([numbers(back), runs.length, asked]).toEqual([[3], 1, 4])
    expect((await fetch(`${servers[1]!.url}/ask?position=${back.messages.at(-1)!.id}`, init)).status).toBe(204)
  })

  it('HEAD starts nothing; channels and the push API stay as they were', async () => {
    expect((await fetch(`${servers[0]!.url}/count`, { method: 'HEAD' })).status).toBe(200)
    expect(runs).toEqual([])
    servers[0]!.route('/channel', () => servers[0]!.channel('feed'), { resumable: true })
    await servers[0]!.channel('feed').publish(1)
    await using reader = await open(0, undefined, { path: '/channel' })
    await reader.until(({ data }) => data.length === 1)
    servers[0]!.route('/push', (_, connection) => void connection.push('x'), { resumable: true })
    await using pushed = await open(0, undefined, { path: '/push' })
    await pushed.until(({ data }) => data.length === 1)
    expect(pushed.messages[0]!.id).toBeUndefined()
  })
})
