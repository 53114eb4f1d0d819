import { describe, expect, it, vi } from 'vitest'
import * as fallback from '../../../src/runtime/client/fallback'
import { createSSEClient } from '../../../src/runtime/client/client'
import type { SSEClient, SSEClientOptions } from '../../../src/runtime/client/types'
import type { SSEMessage } from '../../../src/runtime/shared/types'
import { resolveClientOptions } from '../../support/client-options'
import { eventually } from '../../support/conditions'
import { useMovingClock } from '../../support/moving-clock'
import type { Exchange } from '../../support/scripted-server'
import { message } from '../../support/scripted-server'
import { END, MARK, QUICK, useHarness } from './harness'

const clock = useMovingClock()
const harness = useHarness()

const CONNECT_TIMEOUT_MS = 10_000

/** The headers of a stream and not one byte, until the client no longer waits for the first. */
function mute(x: Exchange): void {
  x.stream('', MARK)
  void clock.move(CONNECT_TIMEOUT_MS)
}

function open(loadFallback: () => Promise<typeof fallback>, options: SSEClientOptions = {}): SSEClient & { messages: SSEMessage[], errors: (string | undefined)[] } {
  const messages: SSEMessage[] = []
  const errors: (string | undefined)[] = []
  const client = createSSEClient(harness.server.url, resolveClientOptions({ ...QUICK, connectTimeoutMs: CONNECT_TIMEOUT_MS, ...options }, loadFallback), {
    onMessage: one => void messages.push(one),
    onState: ({ error }) => void (error && errors.push(error.code)),
  })
  client.connect()
  return Object.defineProperties(client, { messages: { value: messages }, errors: { value: errors } }) as never
}

it('polling is loaded at the first sign that streams do not arrive, once, and not on a healthy network', async () => {
  const load = vi.fn(() => Promise.resolve(fallback))
  harness.server.script(x => x.cut(), x => x.open().write(message(1)).cut(), x => x.open().write(message(2)).end(END))
  const well = open(load)
  await eventually(() => expect(well.state.status).toBe('closed'))
  expect(load).not.toHaveBeenCalled()
  harness.server.script(mute, x => x.open().write(message(1)), mute, mute, x => x.batch([], { ended: true }))
  const silent = open(load)
  await eventually(() => expect(silent.messages).toHaveLength(1))
  expect(load).toHaveBeenCalledTimes(1)
  silent.stop()
})

it('a client whose polling cannot be loaded continues with streams, warns, and loads it at the next sign', async () => {
  let fails = 2
  const load = vi.fn(() => fails-- > 0 ? Promise.reject(new TypeError('Failed to fetch dynamically imported module')) : Promise.resolve(fallback))
  harness.server.script(x => x.isPoll ? x.batch([{ id: 'e1.1', data: 1 }], { ended: true }) : mute(x))
  const client = open(load)
  await eventually(() => expect(client.state).toMatchObject({ status: 'closed', ended: true, transport: 'poll' }))
  expect(client.messages).toHaveLength(1)
  expect(load).toHaveBeenCalledTimes(3)
})

it('a client that may only poll waits for it by its back-off', async () => {
  let fails = 3
  const load = vi.fn(() => fails-- > 0 ? Promise.reject(new TypeError('Failed to fetch dynamically imported module')) : Promise.resolve(fallback))
  harness.server.script(x => x.batch([{ id: 'e1.1', data: 1 }], { ended: true }))
  const client = open(load, { transports: ['poll'] })
  await eventually(() => expect(client.state).toMatchObject({ status: 'closed', ended: true }))
  expect(client.messages).toHaveLength(1)
  expect(client.errors.filter(code => code === 'NETWORK').length).toBeGreaterThanOrEqual(3)
  expect(harness.server.exchanges.map(x => x.isPoll)).toEqual([true])
})

describe('a refusal whose body cannot be read, as the code for it is not there any more after a deployment', () => {
  const missing = () => vi.fn(() => Promise.reject<typeof fallback>(new TypeError('Failed to fetch dynamically imported module')))

  it.each([400, 401, 403, 404, 406, 410, 422])('is final with %i', async (statusCode) => {
    harness.server.script(x => x.status(statusCode, { message: 'Sign in first', data: { code: 'SIGN_IN' } }))
    const client = open(missing())
    await eventually(() => expect(client.state).toMatchObject({ status: 'closed', error: { code: 'HTTP_ERROR', statusCode, retry: false } }))
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it.each([408, 425, 429, 500, 503])('is retried after %i, and counts', async (statusCode) => {
    harness.server.script(x => x.status(statusCode))
    const client = open(missing(), { reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 3 } })
    await eventually(() => expect(client.state).toMatchObject({ status: 'closed', error: { code: 'GAVE_UP', statusCode } }))
    expect([harness.server.exchanges.length, client.errors[0]]).toEqual([3, 'HTTP_ERROR'])
  })

  it.each([429, 503])('is retried after %i not before `Retry-After` in seconds', async (statusCode) => {
    harness.server.script(x => x.status(statusCode, '', { 'retry-after': '3000' }))
    const client = open(missing())
    await eventually(() => expect(client.state.error?.retryAt).toBeGreaterThan(Date.now() + 2_000_000))
    expect(harness.server.exchanges).toHaveLength(1)
    client.stop()
  })

  it.each(['Wed, 21 Oct 2099 07:28:00 GMT', '-5', 'soon', ''])('is retried by the back-off alone after `Retry-After: %s`', async (value) => {
    harness.server.script(x => x.status(503, '', { 'retry-after': value }))
    const client = open(missing(), { reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 3 } })
    await eventually(() => expect(client.state).toMatchObject({ status: 'closed', error: { code: 'GAVE_UP' } }))
    expect(harness.server.exchanges).toHaveLength(3)
  })

  it('is read by the next connection that finds the code', async () => {
    let fails = 2
    const load = vi.fn(() => fails-- > 0 ? Promise.reject(new TypeError('Failed to fetch dynamically imported module')) : Promise.resolve(fallback))
    harness.server.script(x => x.status(500), x => x.status(500), x => x.status(403, { message: 'Sign in first', data: { code: 'SIGN_IN' } }))
    const client = open(load)
    await eventually(() => expect(client.state).toMatchObject({ status: 'closed', error: { code: 'SIGN_IN', statusCode: 403, retry: false } }))
  })
})

it('204 loads nothing', async () => {
  const load = vi.fn(() => Promise.resolve(fallback))
  harness.server.script(x => x.status(204))
  const client = open(load)
  await eventually(() => expect(client.state).toMatchObject({ status: 'closed', ended: true }))
  expect(load).not.toHaveBeenCalled()
})

it('stop() during the load is the end', async () => {
  const { promise, resolve } = Promise.withResolvers<typeof fallback>()
  const client = open(() => promise, { transports: ['poll'] })
  expect(client.state.status).toBe('connecting')
  client.stop()
  resolve(fallback)
  await clock.move(1)
  expect([client.state.status, harness.server.exchanges]).toEqual(['closed', []])
})

it('a connection elsewhere while polling is loaded leaves no verdict on streams of the other origin', async () => {
  const stored = new Map<string, string>()
  vi.stubGlobal('sessionStorage', { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => stored.set(key, value), removeItem: (key: string) => stored.delete(key) })
  const { promise, resolve } = Promise.withResolvers<typeof fallback>()
  harness.server.script(mute, mute, () => {})
  const client = open(() => promise)
  await eventually(() => expect(client.state.transport).toBe('poll'))
  await eventually(() => expect(client.state).toMatchObject({ status: 'reconnecting', error: { retryAt: undefined } }))
  client.connect(harness.server.url.replace('127.0.0.1', 'localhost'))
  resolve(fallback)
  await eventually(() => expect(harness.server.exchanges).toHaveLength(3))
  expect([...stored.keys()]).toEqual([])
})
