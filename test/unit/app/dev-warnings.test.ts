import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { computed, effectScope, ref } from 'vue'
import type * as Warnings from '../../../src/runtime/app/dev-warnings'
import { initialState } from '../../../src/runtime/client/client'
import { SSEError } from '../../../src/runtime/shared/errors'
import type { SSEStatus } from '../../../src/runtime/client/types'

let warnOfState: typeof Warnings.warnOfState
let warnOfCall: typeof Warnings.warnOfCall
let watchReduce: typeof Warnings.watchReduce
let warn: ReturnType<typeof vi.spyOn>

beforeEach(async () => {
  // Past warnings and live connections belong to a page, so each test gets a new one.
  vi.resetModules()
  ;({ warnOfState, warnOfCall, watchReduce } = await import('../../../src/runtime/app/dev-warnings'))
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

// @guarantee six-connections
it('six connections over TLS are too many only with HTTP/1.1', () => {
  speaks('h2')
  for (const key of streams(7)) tell(key, '/api/x')
  expect(warn).not.toHaveBeenCalled()
  speaks('http/1.1')
  tell({}, '/api/x')
  tell({}, '/api/x')
  expect(warn).toHaveBeenCalledOnce()
  expect(warn.mock.calls[0]![0]).toContain('https://app.test')
})

// @guarantee six-connections
it('counts each live connection once, by origin', () => {
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

it('stays silent when something ends the call', () => {
  effectScope().run(() => warnOfCall('/api/x', {}))
  expect(warn).not.toHaveBeenCalled()
  warnOfCall('/api/x', {})
  warnOfCall('/api/x', {})
  expect(warn).toHaveBeenCalledOnce()
})

it.each([
  ['no route', new SSEError('HTTP_ERROR', 'Page not found', { statusCode: 404 }), 'no server route has this URL and method'],
  ['a route of another method', new SSEError('HTTP_ERROR', 'Not allowed', { statusCode: 405 }), 'no server route has this URL and method'],
  ['a handler that returns no source', new SSEError('INVALID_SOURCE', 'Expected the handler to return …'), '[nuxt-sse] /api/x: Expected the handler to return …'],
])('%s: names the fix, once', (_, error, text) => {
  for (let n = 0; n < 2; n++) warnOfState({}, '/api/x', { ...initialState('stream'), status: 'reconnecting', error })
  expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining(text))
})

it.each([
  ['a passing failure', new SSEError('DRIVER_UNAVAILABLE', 'Redis cannot be reached', { statusCode: 503 })],
  ['an error of the handler itself', new SSEError('NO_SUCH_JOB', 'There is no such job', { statusCode: 404 })],
  ['a request for credentials', new SSEError('HTTP_ERROR', 'Sign in', { statusCode: 401 })],
])('%s: stays silent', (_, error) => {
  warnOfState({}, '/api/x', { ...initialState('stream'), status: 'reconnecting', error })
  expect(warn).not.toHaveBeenCalled()
})

it('reports an unknown option, once for each call', () => {
  effectScope().run(() => {
    warnOfCall('/api/x', { keep: 3, ssr: true })
    expect(warn).not.toHaveBeenCalled()
    for (let n = 0; n < 2; n++) warnOfCall('/api/x', { methd: 'POST', imediate: false, keep: 3 })
  })
  expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/^\[nuxt-sse\] useSSE\('\/api\/x'\) has no option `methd`, `imediate`, which has no effect\. The options are `immediate`, .*`method`/))
})

it('reports a ref in an option that takes a value, once for each option', () => {
  effectScope().run(() => {
    warnOfCall('/api/x', { query: ref({}), headers: ref({}), body: ref({}), enabled: computed(() => true), keep: 3 })
    expect(warn).not.toHaveBeenCalled()
    for (let n = 0; n < 2; n++) warnOfCall('/api/x', { keep: ref(3), share: computed(() => 'page') })
  })
  expect(warn.mock.calls).toEqual(['keep', 'share'].map(name => [`[nuxt-sse] The option \`${name}\` of useSSE('/api/x') is a ref, and takes a value: it does not follow the ref.`]))
})

it('reports a reduce that returns nothing or its changed state, and not one that returns its state unchanged', () => {
  const kept = [1]
  watchReduce('/api/x', kept)(kept)
  watchReduce('/api/x', kept)([1, 2])
  watchReduce('/api/x', undefined)(undefined)
  expect(warn).not.toHaveBeenCalled()
  const after = watchReduce('/api/x', kept)
  kept.push(2)
  after(kept)
  expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('changed its first argument: return a new value'))
  watchReduce('/api/x', kept)(undefined)
  expect(warn).toHaveBeenLastCalledWith(expect.stringContaining('returned nothing'))
})
