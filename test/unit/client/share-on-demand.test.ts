import { describe, expect, it, vi } from 'vitest'
import { resolveClientOptions } from '../../../src/runtime/client/options'
import * as sharing from '../../../src/runtime/client/sharing/shared-client'
import { createSharedClientOnDemand } from '../../../src/runtime/client/sharing/on-demand'
import { eventually } from '../../support/conditions'
import { message } from '../../support/scripted-server'
import { END, useHarness } from './harness'
import type { Sharer } from './sharer'
import { share, useSharers } from './sharer'

const harness = useHarness()
useSharers()

/** The code of sharing, which arrives when the test says so. */
function late() {
  const { promise, resolve, reject } = Promise.withResolvers<typeof sharing>()
  const load = vi.fn(() => promise)
  return {
    load,
    arrive: () => resolve(sharing),
    fail: () => reject(new TypeError('Failed to fetch dynamically imported module')),
    open: (options?: Parameters<typeof share>[1]): Sharer => share(harness.server.url, options, undefined, (url, resolved, events, state) => createSharedClientOnDemand(url, resolved, events, state, load)),
  }
}

describe('sharing that is still being loaded', () => {
  it('connect() waits for it, and then shares one connection', async () => {
    harness.server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const code = late()
    const both = [code.open(), code.open()]
    expect(both.map(one => one.state.status)).toEqual(['connecting', 'connecting'])
    code.arrive()
    await eventually(() => expect(both.map(one => one.seen)).toEqual([[1], [1]]))
    expect(both.map(one => one.statuses)).toEqual([['connecting', 'connected'], ['connecting', 'connected']])
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('is loaded by the first connect() alone, and once', async () => {
    harness.server.script(x => x.open().end(END))
    const code = late()
    const sharer = code.open()
    sharer.stop()
    sharer.connect()
    sharer.connect()
    code.arrive()
    await eventually(() => expect(sharer.state).toMatchObject({ status: 'closed', ended: true }))
    expect(code.load).toHaveBeenCalledTimes(1)
    expect(harness.server.exchanges).toHaveLength(1)
    const silent = vi.fn()
    createSharedClientOnDemand(harness.server.url, resolveClientOptions({ share: 'page' }), { onMessage: silent, onState: silent }, undefined, code.load).stop()
    expect([silent.mock.calls, code.load.mock.calls.length]).toEqual([[], 1])
  })

  it.each([
    ['stop', 'closed'],
    ['pause', 'idle'],
    ['reset', 'idle'],
  ] as const)('%s() before it is here: nothing connects, until connect() is called again', async (way, status) => {
    harness.server.script(x => x.open().write(message(1)))
    const code = late()
    const sharer = code.open()
    sharer[way]()
    expect(sharer.state.status).toBe(status)
    code.arrive()
    // Another call, asked later, is served: the first one would have been, too.
    const other = code.open()
    await eventually(() => expect(other.seen).toEqual([1]))
    expect([sharer.state.status, harness.server.exchanges.length]).toEqual([status, 1])
    sharer.connect()
    await eventually(() => expect(sharer.state.status).toBe('connected'))
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('connect(url) before it is here goes to that url, from its beginning', async () => {
    harness.server.script(x => x.open().write(message(x.url.pathname)))
    const code = late()
    const sharer = code.open({ position: 7 })
    sharer.connect(`${harness.server.url}other`)
    code.arrive()
    await eventually(() => expect(sharer.seen).toEqual(['/other']))
    expect(harness.server.exchanges.map(x => [x.url.pathname, x.position])).toEqual([['/other', '7']])
  })

  it('goes on from the state that it was given', async () => {
    harness.server.script(x => x.open({ position: 'e1.4', resumed: true }).write(message(5, 'e1.5')))
    const code = late()
    const state = { status: 'idle', error: undefined, position: 'e1.4', transport: 'stream', attempt: 0, ended: false, gap: undefined, peer: 'resumable' } as const
    const sharer = share(harness.server.url, {}, state, (url, resolved, events, from) => createSharedClientOnDemand(url, resolved, events, from, code.load))
    code.arrive()
    await eventually(() => expect(sharer.seen).toEqual([5]))
    expect(harness.server.exchanges[0]!.position).toBe('e1.4')
  })

  it('a callback that throws before it is here is the error of the call', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    const code = late()
    const sharer = code.open()
    expect(sharer.guard(() => 1)).toBe(1)
    sharer.guard(() => {
      throw new Error('mine')
    })
    expect(sharer.state.error).toMatchObject({ code: 'CALLBACK_FAILED', cause: { message: 'mine' } })
    expect(logged).toHaveBeenCalledOnce()
    logged.mockRestore()
  })
})

describe('sharing that cannot be loaded', () => {
  it('each call has a connection of its own, and the console says why', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    harness.server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const code = late()
    const both = [code.open(), code.open()]
    const stopped = code.open()
    stopped.stop()
    code.fail()
    await eventually(() => expect(both.map(one => one.seen)).toEqual([[1], [1]]))
    expect(harness.server.exchanges).toHaveLength(2)
    expect(both.map(one => one.state)).toMatchObject([{ status: 'connected', position: 'e1.1' }, { status: 'connected', position: 'e1.1' }])
    expect(stopped.state.status).toBe('closed')
    expect(logged.mock.calls.map(call => call[1])).toMatchObject(Array.from({ length: 3 }, () => ({ code: 'SHARING_FAILED', cause: { name: 'TypeError' } })))
    logged.mockRestore()
    both[0]!.stop()
    await eventually(() => expect(harness.server.exchanges.map(x => x.closed)).toEqual([true, false]))
  })

  it('a later call loads it again', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    harness.server.script(x => x.open())
    const code = late()
    const first = code.open()
    code.fail()
    await eventually(() => expect(first.state.status).toBe('connected'))
    const other = late()
    const both = [other.open(), other.open()]
    other.arrive()
    await eventually(() => expect(both.map(one => one.state.status)).toEqual(['connected', 'connected']))
    expect(harness.server.exchanges).toHaveLength(2)
    logged.mockRestore()
  })
})
