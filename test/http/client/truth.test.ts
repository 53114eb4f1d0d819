import { describe, expect, it } from 'vitest'
import type { SSEClientOptions } from '../../../src/runtime/client'
import { eventually } from '../../support/conditions'
import { useMovingClock } from '../../support/moving-clock'
import type { Exchange } from '../../support/scripted-server'
import { control, message } from '../../support/scripted-server'
import { all, failure, useHarness } from './harness'

const clock = useMovingClock()
const harness = useHarness()

describe('the value of `error`', () => {
  // @guarantee loud
  it.each<[string, SSEClientOptions, (x: Exchange) => void, object]>([
    ['a final answer', {}, x => x.status(404), { code: 'HTTP_ERROR', statusCode: 404 }],
    ['attempts that are used up', { reconnect: { maxAttempts: 2, minDelayMs: 1, maxDelayMs: 2 } }, x => x.status(500), { code: 'GAVE_UP', statusCode: 500 }],
    ['a 500 to a POST', { method: 'POST' }, x => x.status(500), { code: 'HTTP_ERROR', statusCode: 500 }],
    ['a POST that was cut', { method: 'POST' }, x => x.open().write(message(1)).cut(), { code: 'INTERRUPTED' }],
    ['an `error` to try again, for a POST', { method: 'POST' }, x => x.open().end(control({ type: 'error', code: 'X', statusCode: 503, message: 'x', retry: true })), { code: 'X', statusCode: 503 }],
  ])('%s is not retried, and the state shows it', async (_, options, step, expected) => {
    harness.server.script(step)
    expect(await failure(harness.open(options))).toMatchObject({ ...expected, retry: false, retryAt: undefined })
  })

  it('`retryAt` is the time of the next attempt, as long as the client waits for it', async () => {
    let answer: (() => void) | undefined
    harness.server.script(x => x.status(503, '', { 'retry-after': '60' }), x => void (answer = () => x.open()))
    const startedAt = Date.now()
    const source = harness.open()
    void all(source)
    await eventually(() => expect(source.status).toBe('reconnecting'))
    expect(source.error).toMatchObject({ statusCode: 503, retry: true })
    expect(source.error!.retryAt! - startedAt).toBeGreaterThanOrEqual(60_000)
    expect(source.error!.retryAt! - Date.now()).toBeLessThanOrEqual(60_000)
    await clock.move(60_000)
    await eventually(() => expect(answer).toBeDefined())
    // The attempt is under way.
    expect(source).toMatchObject({ status: 'reconnecting', error: { statusCode: 503, retry: true, retryAt: undefined } })
    answer!()
    await eventually(() => expect(source).toMatchObject({ status: 'connected', error: undefined }))
  })

  it('503 pending carries its reason, and is no failure', async () => {
    harness.server.script(x => x.status(503, { type: 'pending', message: 'The log is away.', retryMs: 60_000 }))
    const source = harness.open({ reconnect: { maxAttempts: 1 } })
    void all(source)
    await eventually(() => expect(source.error).toMatchObject({ statusCode: 503, message: 'The log is away.', retry: true }))
    expect(source.status).toBe('reconnecting')
    expect(source.error!.retryAt! - Date.now()).toBeGreaterThan(50_000)
  })
})
