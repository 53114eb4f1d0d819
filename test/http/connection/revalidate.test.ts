import { createError } from 'h3'
import { describe, expect, it } from 'vitest'
import { SSEError } from '../../../src/runtime/shared/errors'
import { eventually } from '../../support/conditions'
import { useSSEServers } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'

const startServer = useSSEServers()
let server: TestServer

/** All that a stream sends until it ends by itself. */
async function lastOf(check: () => unknown): Promise<unknown> {
  server = await startServer()
  server.route('/', () => undefined, { revalidate: { everyMs: 20, check } })
  const text = await (await fetch(`${server.url}/`)).text()
  expect(server.context.heartbeats.size).toBe(0)
  return JSON.parse(text.trim().split('data: ').at(-1)!)
}

describe('revalidate', () => {
  it('ends a stream whose right has lapsed, not before', async () => {
    let checks = 0
    expect(await lastOf(() => ++checks < 4)).toMatchObject({ type: 'error', code: 'UNAUTHORIZED', statusCode: 401, retry: false })
    expect(checks).toBe(4)
    expect(server.reported).toEqual([])
  })

  it('ends a stream without a session', async () => {
    let checks = 0
    expect(await lastOf(async () => ++checks < 3 ? { user: 1 } : null)).toMatchObject({ code: 'UNAUTHORIZED', retry: false })
  })

  it('shows an error that was made to be shown, and does not invite the client to reconnect', async () => {
    expect(await lastOf(() => Promise.reject(new SSEError('BANNED', 'Banned.', { statusCode: 503 })))).toMatchObject({ code: 'BANNED', statusCode: 503, retry: false })
    await server.close()
    expect(await lastOf(() => {
      throw createError({ statusCode: 401, message: 'Log in.' })
    })).toMatchObject({ statusCode: 401, message: 'Log in.', retry: false })
  })

  it('sends a leave where the check returns `leave`, so that the client reconnects through the handler\'s own checks', async () => {
    expect(await lastOf(() => 'leave')).toMatchObject({ type: 'leave', retryMs: expect.any(Number) })
    expect(server.reported).toEqual([])
  })

  it('survives a check that fails for a moment, and reports it', async () => {
    let checks = 0
    expect(await lastOf(() => {
      checks++
      if (checks > 6) return false
      if (checks % 3) throw new Error('database down')
    })).toMatchObject({ code: 'UNAUTHORIZED' })
    expect(server.reported).toHaveLength(4)
  })

  it('gives up after three failures in a row, without showing an unauthorized client the reason', async () => {
    expect(await lastOf(() => Promise.reject(new Error('secret')))).toMatchObject({ code: 'REVALIDATION_FAILED', statusCode: 503, retry: true, message: expect.not.stringContaining('secret') })
    expect(server.reported).toHaveLength(3)
  })

  it('never runs two checks at once, and does not wait for one that hangs forever', async () => {
    let running = 0
    expect(await lastOf(() => {
      running++
      return new Promise(() => {})
    })).toMatchObject({ code: 'REVALIDATION_FAILED' })
    expect(running).toBe(1)
  })

  it('stops with its stream', async () => {
    server = await startServer({ heartbeatMs: false })
    server.route('/', () => undefined, { revalidate: { everyMs: 1_000, check: () => true } })
    const leaving = new AbortController()
    await fetch(`${server.url}/`, { signal: leaving.signal })
    await eventually(() => expect(server.context.heartbeats.size).toBe(1))
    leaving.abort()
    await eventually(() => expect(server.context.heartbeats.size).toBe(0))
  })
})
