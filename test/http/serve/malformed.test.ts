import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../support/conditions'
import { collectGarbage } from '../../support/garbage'
import { RawSocket } from '../../support/raw-http'
import type { TestServer } from '../../support/sse-server'
import { startSSEServer } from '../../support/sse-server'
import { failOnUnhandledRejections } from '../../support/unhandled'

failOnUnhandledRejections()

const REQUESTS = 10_000
/** Many: each round waits for its slowest visit, however little there is to do. */
const AT_ONCE = 250

let server: TestServer
beforeAll(async () => {
  server = await startSSEServer({ heartbeatMs: 1_000, pollWaitMs: 50 })
  const feed = server.channel('feed')
  for (let i = 0; i < 10; i++) await feed.publish(i)
  server.route('/channel', () => feed)
  server.route('/push', (_, connection) => void connection.push(1))
  server.route('/count', async function* () {
    yield 1
  })
})
afterAll(() => server.close())

const text = fc.string({ unit: 'binary', maxLength: 40 })
const header = fc.oneof(
  fc.tuple(fc.constantFrom('Accept', 'Last-Event-ID', 'Content-Length', 'Transfer-Encoding', 'Connection', 'Expect', 'X-Forwarded-For'), fc.oneof(text, fc.constantFrom('text/event-stream', 'application/json', 'chunked', '-1', '99999999999', 'upgrade', 'a.1', '0'))).map(parts => parts.join(': ')),
  text,
)
const query = fc.oneof(text, fc.tuple(fc.constantFrom('position', 'transport', 'waitMs', '__proto__', 'position[]'), text.map(value => encodeURIComponent(value.toWellFormed()))).map(parts => parts.join('=')), fc.constantFrom('transport=poll', 'waitMs=1e9', '%', '%ff=%00'))
const request = fc.record({
  method: fc.oneof({ weight: 4, arbitrary: fc.constantFrom('GET', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'CONNECT', 'get') }, { weight: 1, arbitrary: text }),
  path: fc.constantFrom('/channel', '/push', '/count', '/nowhere', '*', ''),
  query,
  headers: fc.array(header, { maxLength: 4 }),
  body: text,
}).map(({ method, path, query, headers, body }) => `${method} ${path}?${query} HTTP/1.1\r\nHost: x\r\n${headers.map(line => `${line}\r\n`).join('')}\r\n${body}`)
/** For requests on one socket: how many, where each is cut, and how the peer leaves. */
const visit = fc.record({ requests: fc.array(request, { minLength: 1, maxLength: 4 }), keep: fc.double({ min: 0.05, max: 1, noNaN: true }), ending: fc.constantFrom('reset', 'reset at once', 'end') })

// @guarantee clean
it(`${REQUESTS} malformed requests leave the server alive, and no trace in memory`, { timeout: 180_000 }, async () => {
  let sent = 0
  const visitAll = async (visits: { requests: string[], keep: number, ending: string }[]) => {
    await Promise.all(visits.map(async ({ requests, keep, ending }) => {
      sent += requests.length
      const bytes = requests.join('')
      const socket = await RawSocket.open(server.url, bytes.slice(0, Math.ceil(bytes.length * keep)))
      if (ending === 'end') socket.socket.end()
      // The first byte of an answer is where most of the server's work is under way.
      if (ending === 'reset') await socket.until(({ received, closed }) => received !== '' || closed, 200).catch(() => {})
      if (ending === 'end') socket.destroy()
      else socket.socket.resetAndDestroy()
    }))
    await quiet()
  }
  const quiet = () => eventually(() => {
    expect(server.sockets.size).toBe(0)
    expect([server.context.connections.size, server.context.heartbeats.size, server.context.hub.size, server.context.admissions.all.open]).toEqual([0, 0, 0, 0])
  }, 20_000)
  const heap = async () => {
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  const batch = fc.array(visit, { minLength: AT_ONCE, maxLength: AT_ONCE })
  // Objects that Node and the test create once.
  for (const visits of fc.sample(batch, 2)) await visitAll(visits)
  const before = await heap()
  sent = 0
  await fc.assert(fc.asyncProperty(batch, async (visits) => {
    if (sent < REQUESTS) await visitAll(visits)
  }), { numRuns: REQUESTS / AT_ONCE, endOnFailure: true })
  expect(sent).toBeGreaterThanOrEqual(REQUESTS)
  expect(await heap() - before).toBeLessThan(10 * 1_048_576)
  expect(server.reported).toEqual([])
  const answer = await fetch(`${server.url}/channel?transport=poll`)
  expect((await answer.json()).messages).toHaveLength(10)
})
