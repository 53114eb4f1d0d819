import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { NETWORK_ERROR, holdRequests, useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'
import { readBlocks, readPage } from '../support/markdown'
import { startRedis, stopRedis } from '../support/redis'

/** The files of `docs/guide/live-lists.md`, `docs/recipes/database-list.md` and `docs/recipes/stores-and-caches.md`, as a layer of the fixture. */
let server: BuiltServer
let context: BrowserContext

afterEach(async () => {
  await stopBuiltServers()
  await stopRedis()
})
// The browser's own report of a request that failed is no mismatch.
const { open, newContext, problems } = useBrowser({ known: NETWORK_ERROR })
beforeEach(async () => {
  context = await newContext()
})

const send = (method: string, path: string, body?: object) => fetch(server.url + path, { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) })
const lose = (channel: string) => send('POST', `/api/recipes/lost/${channel}`)
const connections = async () => (await (await send('GET', '/api/stats')).json() as { connections: number }).connections
const addNote = (text: string) => send('POST', '/api/notes', { text })

async function visit(path: string): Promise<Page> {
  const page = await open(context)
  await page.goto(server.url + path)
  return page
}

const textsOf = async (page: Page, selector: string) => (await page.locator(selector).allTextContents()).map(text => text.trim())
const shows = (pages: Page[], selector: string, expected: string[]) => eventually(async () => expect(await Promise.all(pages.map(page => textsOf(page, selector)))).toEqual(pages.map(() => expected)))
const statusIs = (pages: Page[], expected: string) => eventually(async () => expect(await Promise.all(pages.map(page => page.locator('[role=status]').textContent()))).toEqual(pages.map(() => expect.stringMatching(new RegExp(`^\\s*${expected}`)))))

/** Number of GET requests of a page to a path. */
function countRequests(page: Page, path: string): () => number {
  let count = 0
  page.on('request', request => void (request.method() === 'GET' && new URL(request.url()).pathname === path && count++))
  return () => count
}

describe('the first list of the guide, in two tabs', () => {
  it('has at most 25 lines, and shows in both what either adds', async () => {
    const [, section] = /^## Build a list\n(.*?)^## /ms.exec(await readPage('docs/guide/live-lists.md'))!
    expect(readBlocks(section!).flatMap(({ text }) => text.split('\n').filter(line => line.trim())).length).toBeLessThanOrEqual(25)
    server = await startBuiltServer('ssr')
    const pages = [await visit('/wishes'), await visit('/wishes')]
    await statusIs(pages, 'connected')
    for (const [index, page] of pages.entries()) {
      await page.getByLabel('Wish').fill(`Wish ${index}`)
      await page.getByRole('button', { name: 'Add' }).click()
      await shows(pages, 'p:not([role=status])', ['Wish 0', 'Wish 1'].slice(0, index + 1))
    }
    expect(await (await send('GET', '/wishes')).text()).toContain('Wish 1')
    expect(problems).toEqual([])
  })
})

describe('a list with a database, in two tabs', () => {
  let pages: [Page, Page]
  beforeEach(async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sse-items-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    server = await startBuiltServer('ssr', { env: { DATABASE: join(dir, 'data.db') } })
    pages = [await visit('/items'), await visit('/items')]
    await statusIs(pages, 'connected')
  })

  const addItem = async (page: Page, title: string) => {
    await page.getByLabel('New item').fill(title)
    await page.getByRole('button', { name: 'Add' }).click()
  }
  const itemsAre = (expected: string[], on: Page[] = pages) => shows(on, 'li label', expected)
  const doneIs = (expected: boolean[]) => eventually(async () => expect(await Promise.all(pages.map(page => page.locator('li input').evaluateAll(boxes => boxes.map(box => (box as unknown as { checked: boolean }).checked))))).toEqual([expected, expected]))

  it('shows what either creates, changes and deletes, and the server renders what the database has', async () => {
    await addItem(pages[0], 'Milk')
    await itemsAre(['Milk'])
    await addItem(pages[1], 'Bread')
    await itemsAre(['Milk', 'Bread'])
    await pages[1].locator('li input').first().click()
    await doneIs([true, false])
    await pages[0].locator('li button').last().click()
    await itemsAre(['Milk'])
    expect(await (await send('GET', '/items')).text()).toContain('Milk')
    expect((await (await send('GET', '/api/items')).json() as { data: object[] }).data).toEqual([{ id: expect.any(String), title: 'Milk', done: true }])
    expect(problems).toEqual([])
  })

  it('shows a change at once, its echo once, and takes back what is refused', async () => {
    const [page] = pages
    const answer = await holdRequests(page, /\/api\/items(?:\?|$)/, request => request.method() !== 'GET')
    await addItem(page, 'Milk')
    await itemsAre(['Milk'], [page])
    await itemsAre([], [pages[1]])
    await answer('continue')
    await itemsAre(['Milk'])
    await page.locator('li button').click()
    await itemsAre([], [page])
    await answer('abort')
    await itemsAre(['Milk'])
    await statusIs([page], 'connected .*(?:fetch|Failed)')
  })

  it('loads again after a gap', async () => {
    await addItem(pages[0], 'Milk')
    await itemsAre(['Milk'])
    const loads = pages.map(page => countRequests(page, '/api/items'))
    await lose('items')
    await eventually(() => expect(loads.map(count => count())).toEqual([1, 1]))
    await addItem(pages[1], 'Bread')
    await itemsAre(['Milk', 'Bread'])
    await statusIs(pages, 'connected')
  })

  it('offline keeps the list and takes back a change; back online it shows what it has missed', async () => {
    await addItem(pages[0], 'Milk')
    await itemsAre(['Milk'])
    await context.setOffline(true)
    await statusIs(pages, 'reconnecting')
    await addItem(pages[0], 'Lost')
    await itemsAre(['Milk'])
    await send('PUT', '/api/items', { id: 'bread', title: 'Bread', done: true })
    await context.setOffline(false)
    await itemsAre(['Milk', 'Bread'])
    await doneIs([false, true])
    await statusIs(pages, 'connected')
  })
})

describe('an outbox, with Redis', () => {
  it.each(['committed', 'published'])('a process that is killed when a shipment is %s loses no change, and no client has to load again', async (when) => {
    const dir = await mkdtemp(join(tmpdir(), 'sse-shipments-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    const redis = await startRedis()
    const env = { DATABASE: join(dir, 'data.db'), NUXT_SSE_REDIS_URL: redis.url }
    server = await startBuiltServer('ssr', { env })
    const page = await visit('/shipments')
    await statusIs([page], 'connected')
    await send('PUT', '/api/shipments', { id: 1, state: 'paid' })
    const shipmentsAre = (expected: string[]) => shows([page], 'p:not([role=status])', expected)
    await shipmentsAre(['Shipment 1: paid'])
    const loads = countRequests(page, '/api/shipments')

    await expect(send('POST', `/api/recipes/die/${when}`, { id: 1, state: 'sent' })).rejects.toThrow()
    // The process has killed itself.
    expect((await server.stop('SIGCONT')).signal).toBe('SIGKILL')
    server = await startBuiltServer('ssr', { env, port: server.port })
    await shipmentsAre(['Shipment 1: sent'])
    await send('PUT', '/api/shipments', { id: 2, state: 'paid' })
    await shipmentsAre(['Shipment 1: sent', 'Shipment 2: paid'])
    await statusIs([page], 'connected')
    expect(loads()).toBe(0)
    const channel = await (await fetch(`${server.url}/api/shipments/stream?transport=poll&position=start`, { headers: { accept: 'application/json' } })).json() as { messages: { data: object }[] }
    expect(channel.messages.map(({ data }) => data)).toEqual([{ id: 1, state: 'paid' }, { id: 1, state: 'sent' }, { id: 2, state: 'paid' }])
  })
})

describe.each([
  ['useFetch', '/recipes/fetch', 'main p'],
  ['Pinia Colada', '/recipes/colada', '.note'],
  ['TanStack Query', '/recipes/tanstack', '.note'],
])('notes that %s keeps', (_, path, selector) => {
  it('are loaded once, then patched by messages, and loaded again after a gap', async () => {
    server = await startBuiltServer('ssr')
    await addNote('one')
    const page = await open(context)
    const loads = countRequests(page, '/api/notes')
    await page.goto(server.url + path)
    await shows([page], selector, ['one'])
    await eventually(async () => expect(await connections()).toBe(1))
    for (const text of ['two', 'three']) await addNote(text)
    await shows([page], selector, ['one', 'two', 'three'])
    // `useFetch` has the state of the server that rendered the page.
    const first = path === '/recipes/fetch' ? 0 : 1
    expect(loads()).toBe(first)
    await lose('notes')
    await eventually(() => expect(loads()).toBe(first + 1))
    await addNote('four')
    await shows([page], selector, ['one', 'two', 'three', 'four'])
    expect(loads()).toBe(first + 1)
    expect(problems).toEqual([])
  })
})

describe('a query that each message invalidates', () => {
  it('loads again for each change, and after a gap', async () => {
    server = await startBuiltServer('ssr')
    await addNote('one')
    const page = await visit('/recipes/count')
    await shows([page], '#count', ['1'])
    await addNote('two')
    await shows([page], '#count', ['2'])
    const loads = countRequests(page, '/api/notes')
    await lose('notes')
    await eventually(() => expect(loads()).toBe(1))
    await addNote('three')
    await shows([page], '#count', ['3'])
    expect(problems).toEqual([])
  })
})

describe('a Pinia store', () => {
  it('connects at sign-in, drops its data at sign-out, and loads again at the next sign-in', async () => {
    server = await startBuiltServer('ssr')
    const add = (id: number, title: string) => send('PUT', '/api/tasks', { task: { id, title, done: false } })
    await add(1, 'Milk')
    const page = await visit('/recipes/store')
    const loads = countRequests(page, '/api/tasks')
    const press = (name: string) => page.getByRole('button', { name }).click()
    const tasksAre = (expected: string[]) => shows([page], 'p:not([role=status])', expected)
    await statusIs([page], 'idle')
    await press('Sign in')
    await statusIs([page], 'connected')
    await tasksAre(['Milk'])
    await add(2, 'Bread')
    await tasksAre(['Milk', 'Bread'])
    await press('Sign out')
    await statusIs([page], 'idle')
    await tasksAre([])
    await eventually(async () => expect(await connections()).toBe(0))
    await add(3, 'Eggs')
    await press('Sign in')
    await tasksAre(['Milk', 'Bread', 'Eggs'])
    expect([loads(), problems]).toEqual([2, []])
  })
})
