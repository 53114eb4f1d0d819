import { afterAll, beforeAll, expect, it } from 'vitest'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'
import { SSEReader } from '../support/read-sse'

let basic: BuiltServer
let playground: BuiltServer
beforeAll(async () => {
  basic = await startBuiltServer('basic')
  playground = await startBuiltServer('playground')
})
afterAll(stopBuiltServers)

const post = (url: string, body: unknown) => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

it('calls the hooks of a built application, once each, and outlives one that throws', async () => {
  const told: Record<string, unknown>[] = []
  const next = async () => told.push(...await (await fetch(`${basic.url}/api/told`)).json())
  const reader = await SSEReader.open(`${basic.url}/api/channel/told?hook=throws`, { headers: { 'last-event-id': 'nonsense' } })
  await reader.until(({ controls }) => controls.length === 2)
  await post(`${basic.url}/api/publish/told`, { n: 1 })
  await reader.until(({ data }) => data.length === 1)
  await reader.close()
  expect((await fetch(`${basic.url}/api/private`)).status).toBe(401)
  await eventually(async () => {
    await next()
    expect(told.some(({ hook }) => hook === 'sse:close')).toBe(true)
  })
  const { id } = reader.messages[0]!
  const stream = { route: '/api/channel/:name', path: '/api/channel/told?hook=throws', channel: 'told' }
  const close = { hook: 'sse:close', ...stream, resumed: false, reason: 'disconnect', messages: 1 }
  const closes = told.filter(({ hook }) => hook === 'sse:close')
  expect(closes).toMatchObject([close])
  // Until the server notices that the reader has left, it may send heartbeats.
  const unread = closes[0]!.bytes as number - reader.raw.length
  expect([unread >= 0, unread % ':\n\n'.length]).toEqual([true, 0])
  expect(told.filter(({ hook }) => hook !== 'sse:close')).toMatchObject([
    { hook: 'sse:open', ...stream },
    { hook: 'sse:gap', channel: 'told', gap: { reason: 'invalid' }, transport: 'stream' },
    { hook: 'sse:publish', channel: 'told', id, bytes: 7 },
    { hook: 'sse:error', code: 'HTTP_401', where: 'request' },
  ])
  expect(basic.output().match(/A hook that throws\./g)).toHaveLength(1)
})

/** The text format, version 0.0.4, strictly: each family is declared before its samples, once. */
function parseMetrics(text: string): Map<string, number> {
  expect(text.endsWith('\n')).toBe(true)
  const types = new Map<string, string>()
  const samples = new Map<string, number>()
  for (const line of text.slice(0, -1).split('\n')) {
    if (/^# HELP [a-z_]+ \S.*$/.test(line)) continue
    const type = /^# TYPE ([a-z_]+) (counter|gauge)$/.exec(line)
    if (type) {
      expect(types.has(type[1]!), line).toBe(false)
      types.set(type[1]!, type[2]!)
      continue
    }
    const sample = /^([a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\[\\"n])*"\})? (\d+)$/.exec(line)
    expect(sample, line).not.toBeNull()
    const [, name, labels = '', value] = sample!
    expect([...types.keys()].at(-1), line).toBe(name)
    expect(types.get(name!) === 'counter', line).toBe(name!.endsWith('_total'))
    expect(samples.has(name! + labels), line).toBe(false)
    samples.set(name! + labels, Number(value))
  }
  expect(types.size).toBe(15)
  return samples
}

it('produces text that Prometheus can parse, with the right numbers', async () => {
  const metrics = async () => {
    const response = await fetch(`${playground.url}/metrics`)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    return parseMetrics(await response.text())
  }
  expect(Object.fromEntries(await metrics())).toMatchObject({ 'sse_info{driver="memory"}': 1, 'sse_connections': 0, 'sse_connections_total': 0, 'sse_gaps_total{reason="epoch"}': 0 })

  const reader = await SSEReader.open(`${playground.url}/api/list/stream`)
  await fetch(`${playground.url}/api/list`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ text: 'Hello' }) })
  await reader.until(({ data }) => data.length === 1)
  expect((await fetch(`${playground.url}/api/list/stream?position=nonsense`)).status).toBe(400)
  expect((await fetch(`${playground.url}/api/list/stream?transport=poll&position=start`)).status).toBe(200)
  // A heartbeat may be on its way.
  await eventually(async () => expect(Object.fromEntries(await metrics())).toMatchObject({
    'sse_connections': 1,
    'sse_connections_total': 1,
    'sse_channels': 1,
    'sse_messages_sent_total': 1,
    'sse_sent_bytes_total': new TextEncoder().encode(reader.raw).length,
    'sse_published_total': 1,
    'sse_polls': 0,
    'sse_polls_total': 1,
    'sse_parked_readers': 0,
    'sse_refused_total{code="INVALID_POSITION"}': 1,
  }))

  await reader.close()
  await eventually(async () => expect(Object.fromEntries(await metrics())).toMatchObject({ 'sse_connections': 0, 'sse_channels': 0, 'sse_closed_total{reason="disconnect"}': 1 }))
})
