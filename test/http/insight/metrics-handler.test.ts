import type { H3Event } from 'h3'
import { createError, getRequestHeader } from 'h3'
import { describe, expect, it, vi } from 'vitest'
import { defineSSEMetricsHandler } from '../../../src/runtime/server/api/define-sse-metrics-handler'
import { SSEError } from '../../../src/runtime/shared/errors'
import { useSSEServer } from '../../support/sse-server'
import { eventually } from '../../support/conditions'

// Only the runtime config of the framework is a replacement.
vi.mock('#sse/nitro', () => ({ BUN_IDLE_VARIABLE: 'BUN_IDLE', useRuntimeConfig: () => ({ sse: {} }), isCachedByRule: () => false }))

const server = useSSEServer()
const TOKEN = 'Bearer secret-of-the-monitoring'
const as = (authorization: string) => ({ headers: { authorization } })

/** Adds the route, and returns a request to it. */
function serveMetrics(authorize?: (event: H3Event) => unknown) {
  server.use('/metrics', defineSSEMetricsHandler({ authorize }))
  return async (init?: RequestInit) => {
    const response = await fetch(`${server.url}/metrics`, init)
    return { status: response.status, type: response.headers.get('content-type'), cache: response.headers.get('cache-control'), text: await response.text() }
  }
}

it('responds to every client without `authorize`, in the format of Prometheus, and is not stored', async () => {
  const request = serveMetrics()
  expect(await request()).toMatchObject({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', cache: 'no-store', text: expect.stringContaining('\nsse_connections 0\n') as string })
})

const token = (event: H3Event) => {
  if (getRequestHeader(event, 'authorization') !== TOKEN) throw createError({ statusCode: 401, message: 'A token is needed.' })
}

describe.each<[string, (event: H3Event) => unknown]>([
  ['throws', token],
  ['rejects', async (event) => {
    await new Promise(resolve => setTimeout(resolve, 1))
    token(event)
  }],
])('`authorize` that %s', (_, authorize) => {
  it('responds to a client that it allows, and refuses every other with its own error', async () => {
    const request = serveMetrics(authorize)
    expect(await request(as(TOKEN))).toMatchObject({ status: 200, text: expect.stringContaining('sse_connections') as string })
    for (const init of [undefined, as('Bearer guess'), as('')]) {
      const refused = await request(init)
      expect(refused).toMatchObject({ status: 401, type: 'application/json' })
      expect(JSON.parse(refused.text)).toMatchObject({ statusCode: 401, message: 'A token is needed.' })
      expect(refused.text).not.toContain('sse_')
    }
    // A refused request has changed nothing for the next.
    expect((await request(as(TOKEN))).status).toBe(200)
  })
})

describe('an error of `authorize`', () => {
  it('of the module becomes its status and code', async () => {
    const request = serveMetrics(() => Promise.reject(new SSEError('FORBIDDEN', 'Only for the monitoring.', { statusCode: 403 })))
    const refused = await request()
    expect(refused.status).toBe(403)
    expect(JSON.parse(refused.text)).toMatchObject({ message: 'Only for the monitoring.', data: { code: 'FORBIDDEN' } })
  })

  // @guarantee internal-errors
  it.each<[string, () => unknown]>([
    ['thrown', () => {
      throw new Error('the database of sessions is down')
    }],
    ['rejected', async () => {
      throw new Error('the database of sessions is down')
    }],
  ])('of the application\'s own, %s, is a 500 without its text and without numbers', async (_, authorize) => {
    const request = serveMetrics(authorize)
    const refused = await request(as(TOKEN))
    expect(refused).toMatchObject({ status: 500, type: 'application/json' })
    expect(refused.text).not.toMatch(/database|sse_/)
  })
})

it('calls `authorize` once for each request, with its event, and waits for it', async () => {
  const asked: string[] = []
  const { promise: allowed, resolve: allow } = Promise.withResolvers<void>()
  const request = serveMetrics((event) => {
    asked.push(event.path)
    return allowed
  })
  let done = false
  const first = request().finally(() => done = true)
  await eventually(() => expect(asked).toHaveLength(1))
  expect(done).toBe(false)
  allow()
  expect((await first).status).toBe(200)
  await request()
  expect(asked).toHaveLength(2)
})

it.each([['text', 'token'], ['a flag', true], ['null', null], ['an object', {}]])('refuses an `authorize` that is %s', (_, authorize) => {
  expect(() => defineSSEMetricsHandler({ authorize: authorize as never })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('`authorize`') as string }))
})
