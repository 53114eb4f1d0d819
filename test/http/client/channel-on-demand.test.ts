import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { eventually } from '../../support/conditions'
import { all, failure, useHarness } from './harness'

const SHARING = '../../../src/runtime/client/sharing/shared-client'
const harness = useHarness()

/** Makes the next load of the code for `channel` wait for the test, and counts the loads. */
function holdCode(): { arrive: (error?: unknown) => void, loads: () => number } {
  vi.resetModules()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  promise.catch(() => {})
  const load = vi.fn(async (actual: () => Promise<object>) => {
    await promise
    return await actual()
  })
  vi.doMock(SHARING, load)
  onTestFinished(() => void vi.doUnmock(SHARING))
  return { arrive: error => error ? reject(error) : resolve(), loads: () => load.mock.calls.length }
}

describe('openSSE with `channel`, while its code loads', () => {
  it('is connecting, and connects when the code has arrived', async () => {
    const { arrive, loads } = holdCode()
    harness.server.script(x => x.open({ position: 'a:e1.0', resumed: false, channels: { a: { position: 'e1.0', resumed: false } } }).write('id: a:e1.1\nevent: a\ndata: 1\n\n').end('event: sse\ndata: {"type":"end","channel":"a"}\n\nevent: sse\ndata: {"type":"end"}\n\n'))
    const source = harness.open({ channel: 'a' })
    expect([source.status, source.position, source.error]).toEqual(['connecting', undefined, undefined])
    await eventually(() => expect(loads()).toBe(1))
    expect(harness.server.exchanges).toHaveLength(0)
    arrive()
    expect((await all(source)).map(({ data }) => data)).toEqual([1])
    expect(source.status).toBe('closed')
  })

  it.each([
    ['close()', (source: { close: () => void }) => source.close()],
    ['its signal', (_: unknown, controller: AbortController) => controller.abort()],
  ])('%s ends the loop without an error, and nothing is requested', async (_, end) => {
    const { arrive, loads } = holdCode()
    harness.server.script(x => x.status(204))
    const controller = new AbortController()
    const source = harness.open({ channel: 'a', signal: controller.signal })
    const messages = all(source)
    await eventually(() => expect(loads()).toBe(1))
    end(source, controller)
    expect(source.status).toBe('closed')
    expect(await messages).toEqual([])
    arrive()
    // By then a source would have connected.
    await fetch(harness.server.url)
    expect(harness.server.exchanges).toHaveLength(1)
    expect([source.status, source.error]).toEqual(['closed', undefined])
  })

  it('throws `SHARING_FAILED` if it cannot be loaded, and does not wait for older messages', async () => {
    const { arrive } = holdCode()
    const source = harness.open({ channel: 'a' })
    const older = source.loadOlder().catch((error: unknown) => error)
    arrive(new TypeError('Failed to fetch dynamically imported module'))
    expect(await failure(source)).toMatchObject({ code: 'SHARING_FAILED', retry: false })
    expect(await older).toMatchObject({ code: 'SHARING_FAILED' })
    expect([source.status, source.error?.code]).toEqual(['closed', 'SHARING_FAILED'])
    expect(harness.server.exchanges).toHaveLength(0)
  })
})
