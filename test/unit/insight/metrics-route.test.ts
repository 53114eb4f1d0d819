import { fileURLToPath } from 'node:url'
import { afterEach, expect, it, vi } from 'vitest'
import type { SSEStats } from '../../../src/runtime/server/context/stats'

afterEach(() => vi.unstubAllGlobals())

/** Source of the route in the playground and in docs/insight.md, where its functions are auto-imported. */
const ROUTE = fileURLToPath(new URL('../../../playground/server/routes/metrics.get.ts', import.meta.url))

it('escapes labels, since a code may be any text', async () => {
  const stats: SSEStats = {
    driver: 'memory', connections: 0, connectionsTotal: 0, closed: { end: 0, error: 0, leave: 0, disconnect: 0 }, polls: 0, pollsTotal: 0,
    refused: { 'a"b\\c\nd': 2 }, parkedReaders: 0, channels: 0, producers: 0, messagesSent: 0, bytesSent: 0, published: 0, publishErrors: {}, gaps: { trimmed: 0, epoch: 0, invalid: 0 },
  }
  vi.stubGlobal('defineEventHandler', (handler: unknown) => handler)
  vi.stubGlobal('setResponseHeader', () => {})
  vi.stubGlobal('useSSEStats', () => stats)
  const { default: route } = await import(/* @vite-ignore */ ROUTE) as { default: (event: unknown) => string }
  const lines = route({}).split('\n')
  expect(lines).toContain('sse_refused_total{code="a\\"b\\\\c\\nd"} 2')
  expect(lines.at(-1)).toBe('')
})
