import { expect, it } from 'vitest'
import type { SSEStats } from '../../../src/runtime/server/context/stats'
import { renderMetrics } from '../../../src/runtime/server/insight/prometheus'

const stats: SSEStats = {
  driver: 'memory', connections: 3, connectionsTotal: 7, closed: { end: 1, error: 0, leave: 2, disconnect: 1 }, polls: 0, pollsTotal: 0,
  refused: { 'a"b\\c\nd': 2 }, parkedReaders: 0, channels: 0, producers: 0, messagesSent: 0, bytesSent: 0, published: 0, publishErrors: {}, gaps: { trimmed: 0, epoch: 0, invalid: 0 },
}

it('renders each number of the statistics, with its type', () => {
  const text = renderMetrics(stats)
  expect(text).toContain('# HELP sse_connections Open streams.\n# TYPE sse_connections gauge\nsse_connections 3\n')
  expect(text).toContain('sse_closed_total{reason="leave"} 2\n')
  expect(text).toContain('sse_info{driver="memory"} 1\n')
  expect(text.match(/^# TYPE /gm)).toHaveLength(Object.keys(stats).length)
  expect(text).toMatch(/^(?:(?:# .*|\w+(?:\{\w+="[^\n]*"\})? \d+)\n)+$/)
  expect(text).not.toContain('undefined')
})

it('escapes labels, since a code may be any text', () => {
  expect(renderMetrics(stats).split('\n')).toContain('sse_refused_total{code="a\\"b\\\\c\\nd"} 2')
})
