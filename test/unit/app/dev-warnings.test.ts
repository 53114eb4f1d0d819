import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import type { warnOfState as WarnOfState, warnOutsideScope as WarnOutsideScope } from '../../../src/runtime/app/dev-warnings'
import { initialState } from '../../../src/runtime/client/client'
import type { SSEStatus } from '../../../src/runtime/client/types'

let warnOfState: typeof WarnOfState
let warnOutsideScope: typeof WarnOutsideScope
let warn: ReturnType<typeof vi.spyOn>

beforeEach(async () => {
  // What has been said, and what is live, is of a page: each test has another.
  vi.resetModules()
  ;({ warnOfState, warnOutsideScope } = await import('../../../src/runtime/app/dev-warnings'))
  warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  vi.stubGlobal('location', { href: 'https://app.test/' })
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

const streams = (count: number) => Array.from({ length: count }, () => ({}))
const tell = (key: object, url: string, status: SSEStatus = 'connected', transport: 'stream' | 'poll' = 'stream') => warnOfState(key, url, { ...initialState(transport), status })
function speaks(nextHopProtocol: string): void {
  const entry = { name: 'https://app.test/_nuxt/entry.js', nextHopProtocol } as PerformanceResourceTiming
  vi.spyOn(performance, 'getEntriesByType').mockImplementation(type => type === 'resource' ? [entry] : [])
}

it('trap 47: six over TLS are too many only where they speak HTTP/1.1', () => {
  speaks('h2')
  for (const key of streams(7)) tell(key, '/api/x')
  expect(warn).not.toHaveBeenCalled()
  speaks('http/1.1')
  tell({}, '/api/x')
  tell({}, '/api/x')
  expect(warn).toHaveBeenCalledOnce()
  expect(warn.mock.calls[0]![0]).toContain('https://app.test')
})

it('trap 47: counts what is live, once each, and by origin', () => {
  const keys = streams(5)
  for (const key of [...keys, ...keys]) tell(key, 'http://a.test/x')
  for (const key of streams(5)) tell(key, 'http://b.test/x')
  for (const key of streams(5)) tell(key, 'http://a.test/x', 'connected', 'poll')
  tell(keys[0]!, 'http://a.test/x', 'closed')
  tell({}, 'http://a.test/x', 'connecting')
  expect(warn).not.toHaveBeenCalled()
  tell({}, 'http://a.test/x', 'connecting')
  expect(warn).toHaveBeenCalledOnce()
})

it('says nothing where something ends the call', () => {
  effectScope().run(() => warnOutsideScope('/api/x'))
  expect(warn).not.toHaveBeenCalled()
  warnOutsideScope('/api/x')
  warnOutsideScope('/api/x')
  expect(warn).toHaveBeenCalledOnce()
})
