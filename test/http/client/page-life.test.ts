import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createSSEClient } from '../../../src/runtime/client/client'
import type { SSEClient } from '../../../src/runtime/client/types'
import { resolveClientOptions } from '../../support/client-options'
import type { SSEClientOptions, SSEMessage } from '../../../src/runtime/client'
import { eventually } from '../../support/conditions'
import { message } from '../../support/scripted-server'
import { QUICK, data, useHarness } from './harness'
import { Page } from './model/page'

const harness = useHarness()
let page: Page
let client: SSEClient
const messages: SSEMessage[] = []

beforeEach(() => {
  page = new Page()
  page.install()
  messages.length = 0
})
afterEach(() => client.stop())

/** Connected, with one message, to a server whose every stream carries one more. */
async function connected(options: SSEClientOptions = {}): Promise<void> {
  let n = 0
  harness.server.script(x => x.open().write(message(++n, `e1.${n}`)))
  client = createSSEClient(harness.server.url, resolveClientOptions({ ...QUICK, ...options }), { onMessage: one => void messages.push(one), onState() {} })
  client.connect()
  await eventually(() => expect(messages).toHaveLength(1))
}

function hide(): void {
  page.hidden = true
  page.dispatch('visibilitychange')
}

/** Number of requests by the client so far. The request made here arrives after all of them. */
async function requests(): Promise<number> {
  await fetch(harness.server.url).then(response => response.body!.cancel())
  return harness.server.exchanges.length - 1
}

describe('a page that goes', () => {
  // @guarantee sleeping-page
  it.each(['pagehide', 'freeze'])('%s leaves no silent reader with the server', async (type) => {
    await connected()
    page.dispatch(type)
    await eventually(() => expect(harness.server.exchanges[0]!.closed).toBe(true))
    expect(client.state).toMatchObject({ status: 'idle', position: 'e1.1' })
  })

  // @guarantee sleeping-page
  it('is not woken by being hidden, an event that follows `pagehide`', async () => {
    await connected()
    page.dispatch('pagehide')
    hide()
    page.dispatch('freeze')
    expect(client.state.status).toBe('idle')
    expect(await requests()).toBe(1)
  })

  // @guarantee sleeping-page
  it.each([
    [['pageshow']],
    [['resume']],
    [['resume', 'pageshow', 'visibilitychange', 'online']],
    [['online', 'visibilitychange', 'pageshow', 'resume']],
    [['visibilitychange', 'pageshow', 'visibilitychange', 'pageshow']],
  ])('wakes once, and resumes, by any of its events: %j', async (types) => {
    await connected()
    page.dispatch('pagehide', 'freeze')
    page.dispatch(...types)
    await eventually(() => expect(data(messages)).toEqual([1, 2]))
    page.dispatch(...types)
    expect(await requests()).toBe(2)
    expect(harness.server.exchanges[1]!.position).toBe('e1.1')
  })

  it('a source that the user has paused or stopped stays so', async () => {
    await connected()
    client.pause()
    page.dispatch('freeze', 'resume', 'online')
    expect(client.state.status).toBe('idle')
    client.stop()
    page.dispatch('freeze', 'resume', 'online')
    expect(client.state.status).toBe('closed')
    expect(page.listeners).toBe(0)
  })
})

describe('a hidden page', () => {
  // @guarantee sleeping-page
  it('keeps its connection', async () => {
    await connected()
    hide()
    harness.server.exchanges[0]!.write(message('still', 'e1.9'))
    await eventually(() => expect(data(messages)).toEqual([1, 'still']))
  })

  it('`pauseWhenHidden` closes it, and opens it again', async () => {
    await connected({ pauseWhenHidden: true })
    hide()
    await eventually(() => expect(harness.server.exchanges[0]!.closed).toBe(true))
    page.dispatch('online', 'pageshow')
    expect(client.state.status).toBe('idle')
    page.hidden = false
    page.dispatch('visibilitychange')
    await eventually(() => expect(data(messages)).toEqual([1, 2]))
  })

  it('`pauseWhenHidden` does not start before the page is seen', async () => {
    page.hidden = true
    harness.server.script(x => x.open().write(message(1)))
    client = createSSEClient(harness.server.url, resolveClientOptions({ pauseWhenHidden: true }), { onMessage: one => void messages.push(one), onState() {} })
    client.connect()
    expect(client.state.status).toBe('idle')
    page.hidden = false
    page.dispatch('visibilitychange')
    await eventually(() => expect(messages).toHaveLength(1))
    expect(harness.server.exchanges).toHaveLength(1)
  })
})

describe('a browser that is offline', () => {
  it('reports it at once, cuts what may be repeated, and retries: a server on the same machine answers', async () => {
    await connected()
    page.dispatch('offline')
    expect(client.state.status).toBe('reconnecting')
    await eventually(() => expect(harness.server.exchanges[0]!.closed).toBe(true))
    await eventually(() => expect(data(messages)).toEqual([1, 2]))
    expect(client.state).toMatchObject({ status: 'connected', attempt: 0, error: undefined })
  })

  it('counts no failure, reports the next attempt, and reconnects with `online`', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1)
    await connected({ reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000, maxAttempts: 1 } })
    page.dispatch('offline')
    await eventually(() => expect(client.state.error).toMatchObject({ code: 'NETWORK', retry: true }))
    expect(client.state.error!.retryAt! - Date.now()).toBeGreaterThan(50_000)
    page.dispatch('online')
    await eventually(() => expect(data(messages)).toEqual([1, 2]))
    expect(client.state.error).toBeUndefined()
  })

  // @guarantee complete-not-dropped
  it('a POST without a position stays connected', async () => {
    harness.server.script(x => x.open().write(message(1)))
    client = createSSEClient(harness.server.url, resolveClientOptions({ method: 'POST' }), { onMessage: one => void messages.push(one), onState() {} })
    client.connect()
    await eventually(() => expect(messages).toHaveLength(1))
    page.dispatch('offline', 'freeze')
    expect(client.state.status).toBe('connected')
    harness.server.exchanges[0]!.write(message(2))
    await eventually(() => expect(data(messages)).toEqual([1, 2]))
  })
})
