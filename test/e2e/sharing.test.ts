import type { BrowserContext, CDPSession, Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { launchTabs, useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'

const TABS = 8
const KILLS = 20

interface Record { numbers: number[], gaps: number }
/** Numbers that a tab received, by channel. */
interface Numbers { a: number[], b: number[], c: number[] }

let server: BuiltServer
let context: BrowserContext
let published: number
const tabs = new Set<Page>()

afterEach(stopBuiltServers)
const browser = useBrowser()
beforeEach(async () => {
  server = await startBuiltServer('basic')
  context = await browser.newContext()
  published = 0
})
afterEach(() => tabs.clear())

const numbers = (to: number) => Array.from({ length: to }, (_, index) => index + 1)
const recordOf = (tab: Page) => tab.evaluate(() => (globalThis as unknown as { record: Record }).record)
const statusOf = (tab: Page) => tab.locator('#status').textContent()

async function publish(count = 1): Promise<void> {
  for (let i = 0; i < count; i++) {
    const response = await fetch(`${server.url}/api/publish/shared`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ n: ++published }) })
    expect(response.status).toBe(200)
  }
}

async function openTab(path = '/shared'): Promise<Page> {
  const tab = await context.newPage()
  tabs.add(tab)
  // Tabs may share a process, which crashes as a whole.
  tab.on('crash', () => tabs.delete(tab))
  tab.on('close', () => tabs.delete(tab))
  await tab.goto(server.url + path)
  return tab
}

async function openTabs(path?: string): Promise<void> {
  while (tabs.size < TABS) await openTab(path)
}

/** Ends a tab without a chance to hand over: it is closed, or it crashes. */
async function kill(tab: Page, how: 'close' | 'crash'): Promise<void> {
  if (how === 'close') return tab.close()
  const crashed = tab.waitForEvent('crash')
  void debug(tab).then(session => session.send('Page.crash')).catch(() => {})
  await crashed
}

async function connections(): Promise<number> {
  return (await (await fetch(`${server.url}/api/stats`)).json()).connections
}

/** Every tab has every number once, in order, and the right state; the server has one connection. */
async function expectAllHaveAll(timeout?: number): Promise<void> {
  await eventually(async () => {
    for (const tab of tabs) expect(await recordOf(tab)).toEqual({ numbers: numbers(published), gaps: 0 })
    for (const tab of tabs) expect(await statusOf(tab)).toBe('connected')
    expect(await connections()).toBe(1)
  }, timeout)
}

/** Whether this tab has the lock: a lock of its own shows the browser's name for the tab. */
async function leads(tab: Page): Promise<boolean> {
  return await tab.evaluate(() => navigator.locks.request(`who ${Math.random()}`, async (own) => {
    const { held } = await navigator.locks.query()
    const { clientId } = held!.find(({ name }) => name === own!.name)!
    return held!.some(lock => lock.name!.startsWith('nuxt-sse:') && lock.clientId === clientId)
  }))
}

async function findLeader(among: Iterable<Page> = tabs): Promise<Page> {
  return await vi.waitFor(async () => {
    for (const tab of among) {
      if (await leads(tab)) return tab
    }
    throw new Error('Nobody leads')
  }, { timeout: 20_000, interval: 20 })
}

const debug = (tab: Page): Promise<CDPSession> => context.newCDPSession(tab)

describe('share: \'browser\' in Chromium', () => {
  // @guarantee six-connections
  it('eight tabs have one connection, and others can still load', async () => {
    await publish(3)
    await openTabs()
    await expectAllHaveAll()
    await publish(3)
    await expectAllHaveAll()
    const another = await context.newPage()
    await another.goto(server.url)
    await eventually(async () => expect(await another.locator('#status').textContent()).toBe('connected'))
  })

  // @guarantee order-once
  it(`${KILLS} leaders are closed or crash while messages are published: nothing lost, nothing twice`, { timeout: 300_000 }, async () => {
    await openTabs()
    for (let round = 0; round < KILLS; round++) {
      const leader = await findLeader()
      const publishing = publish(30)
      await kill(leader, round % 2 ? 'crash' : 'close')
      await publishing
      // They join while the next leader takes over.
      await openTabs()
      for (const tab of tabs) {
        const { numbers: had } = await recordOf(tab)
        expect(had).toEqual(numbers(had.length))
      }
    }
    await expectAllHaveAll()
    expect(published).toBe(KILLS * 30)
  })

  // @guarantee order-once
  it(`of several channels, ${KILLS} leaders are closed or crash while messages are published: no call loses one of any channel, nor has it twice`, { timeout: 120_000 }, async () => {
    const KEYS = ['a', 'b', 'c'] as const
    const sent = { a: 0, b: 0, c: 0 }
    const publishAll = async (count: number) => {
      for (let n = 0; n < count; n++) await Promise.all(KEYS.map(key => fetch(`${server.url}/api/publish/several-${key}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ n: ++sent[key] }) })))
    }
    const record = (tab: Page) => tab.evaluate(() => (globalThis as unknown as { record: { all: Numbers, own: Numbers, gaps: number } }).record)
    await publishAll(3)
    await openTabs('/several')
    for (let round = 0; round < KILLS; round++) {
      const leader = await findLeader()
      const publishing = publishAll(5)
      await kill(leader, round % 2 ? 'crash' : 'close')
      await publishing
      await openTabs('/several')
    }
    await publishAll(1)
    const expected = Object.fromEntries(KEYS.map(key => [key, numbers(sent[key])]))
    await eventually(async () => {
      for (const tab of tabs) expect(await record(tab)).toEqual({ all: expected, own: expected, gaps: 0 })
      for (const tab of tabs) expect((await statusOf(tab))!.trim()).toBe('connected,connected,connected,connected')
      expect(await connections()).toBe(1)
    })
    expect(sent).toEqual({ a: KILLS * 5 + 4, b: KILLS * 5 + 4, c: KILLS * 5 + 4 })
  })

  it('a leader that is frozen steps down, and has missed nothing when it wakes', { timeout: 120_000 }, async () => {
    await context.close()
    const real = await launchTabs()
    context = real.context
    await context.addInitScript(() => {
      const { locks } = navigator
      const request = locks.request.bind(locks) as (...args: unknown[]) => Promise<unknown>
      locks.request = ((...args: unknown[]) => {
        if ((args[1] as LockOptions).steal) (globalThis as { hasStolen?: boolean }).hasStolen = true
        return request(...args)
      }) as typeof locks.request
    })
    try {
      await openTabs()
      await publish(5)
      await expectAllHaveAll()
      for (let round = 0; round < 3; round++) {
        const leader = await findLeader()
        // Only hidden tabs freeze.
        await [...tabs].find(tab => tab !== leader)!.bringToFront()
        const session = await debug(leader)
        const publishing = publish(50)
        await session.send('Page.setWebLifecycleState', { state: 'frozen' })
        tabs.delete(leader)
        await findLeader()
        // It has left by itself.
        for (const tab of tabs) expect(await tab.evaluate(() => (globalThis as { hasStolen?: boolean }).hasStolen ?? false)).toBe(false)
        await publishing
        await expectAllHaveAll()
        await session.send('Page.setWebLifecycleState', { state: 'active' })
        tabs.add(leader)
        await publish(5)
        await expectAllHaveAll()
        await session.detach()
      }
    }
    finally {
      await real.close()
    }
  })

  it('a leader that answers nothing loses its lock, and survives that', { timeout: 120_000 }, async () => {
    await openTabs()
    await publish(5)
    await expectAllHaveAll()
    const leader = await findLeader()
    tabs.delete(leader)
    const busy = leader.evaluate(() => {
      while (!document.cookie.includes('awake'));
    })
    const publishing = publish(20)
    const next = await findLeader()
    await publishing
    await publish(20)
    await eventually(async () => {
      for (const tab of tabs) expect(await recordOf(tab)).toEqual({ numbers: numbers(published), gaps: 0 })
    })
    await context.addCookies([{ name: 'awake', value: 'yes', url: server.url }])
    await busy
    tabs.add(leader)
    await publish(5)
    await expectAllHaveAll()
    expect(await leads(leader)).toBe(false)
    expect(await leads(next)).toBe(true)
  })

  it('a leader that navigates to another page and back hands over, and resumes', async () => {
    const both = [await openTab(), await openTab()]
    await publish(5)
    await expectAllHaveAll()
    // Usually the one that was opened first.
    const first = await findLeader()
    const second = both.find(tab => tab !== first)!
    tabs.delete(first)
    await first.goto(`${server.url}/api/stats`)
    await findLeader([second])
    await publish(5)
    await expectAllHaveAll()
    await first.goBack()
    tabs.add(first)
    await expectAllHaveAll()
  })
})
