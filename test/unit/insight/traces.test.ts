import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { H3Event } from 'h3'
import { afterEach, expect, it, vi } from 'vitest'
import { Insight } from '../../../src/runtime/server/insight/insight'
import { since, traces } from '../../../src/runtime/server/insight/traces'

const event = {} as H3Event
const listener = vi.fn()
const NAMES = ['nuxt-sse:open', 'nuxt-sse:refuse', 'nuxt-sse:publish', 'nuxt-sse:deliver']

afterEach(() => {
  for (const name of NAMES) unsubscribe(name, listener)
  listener.mockReset()
  vi.resetModules()
  vi.doUnmock('../../../src/runtime/server/lib/platform/platform')
})

function happen(): ReturnType<typeof vi.fn> {
  const describe = vi.fn(() => ({ path: '/feed' }))
  const insight = new Insight(() => {}, { describe, subject: () => '' })
  insight.onRequest(event)
  insight.onOpen(event, {})
  insight.onRefuse(event, new Error('no'))
  insight.onPublish('feed', 'e.1', undefined, 3)
  return describe
}

it('without a subscriber, no request is described and no time is measured', () => {
  const clock = vi.spyOn(performance, 'now')
  expect(happen()).not.toHaveBeenCalled()
  expect(Object.values(traces).map(trace => [trace.isHeard, trace.begin()])).toEqual(NAMES.map(() => [false, undefined]))
  expect(clock).not.toHaveBeenCalled()
  clock.mockRestore()
  expect(since(undefined)).toBe(0)
})

it('each channel is published to its subscribers, and no longer after they have left', () => {
  for (const name of NAMES) subscribe(name, listener)
  expect(happen()).toHaveBeenCalledTimes(2)
  expect(listener.mock.calls.map(([, name]) => name)).toEqual(['nuxt-sse:open', 'nuxt-sse:refuse', 'nuxt-sse:publish'])
  expect(listener.mock.calls.map(([trace]) => trace)).toMatchObject([{ event, path: '/feed', resumed: false }, { code: 'UNKNOWN' }, { channel: 'feed', id: 'e.1', bytes: 3, durationMs: 0 }])
  expect(listener.mock.calls[0]![0].durationMs).toBeGreaterThanOrEqual(0)
  for (const name of NAMES) unsubscribe(name, listener)
  expect(happen()).not.toHaveBeenCalled()
})

it('a platform without diagnostics channels has none, and nothing fails', async () => {
  vi.doMock('../../../src/runtime/server/lib/platform/platform', () => ({ platform: {} }))
  vi.resetModules()
  const { traces: absent } = await import('../../../src/runtime/server/insight/traces')
  for (const name of NAMES) subscribe(name, listener)
  expect(absent.open.isHeard).toBe(false)
  absent.deliver.publish({ channel: 'feed', ids: [], readers: 0, durationMs: 0 })
  expect(listener).not.toHaveBeenCalled()
})
