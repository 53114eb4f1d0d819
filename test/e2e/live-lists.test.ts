import type { BrowserContext, Page, Request } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NETWORK_ERROR, holdRequests, useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'

/** A todo list as a page of an application, with `load` and `ssr`. Each test has a user of its own. */
let server: BuiltServer
let context: BrowserContext
let user: string
let users = 0

afterEach(stopBuiltServers)
const { open, newContext, problems } = useBrowser({ known: NETWORK_ERROR })
beforeEach(async () => {
  server = await startBuiltServer('ssr')
  context = await newContext()
  await signIn(`user${++users}`)
})

async function signIn(name: string): Promise<void> {
  user = name
  await context.addCookies([{ name: 'user', value: name, url: server.url }])
}

async function openList(query = ''): Promise<Page> {
  const page = await open(context)
  await page.goto(`${server.url}/todos${query}`)
  await eventually(async () => expect(await page.locator('#status').textContent()).toMatch(/^\s*connected/))
  return page
}

const call = (method: string, path: string, body?: object) => fetch(`${server.url}/api/todos${path}`, { method, headers: { 'cookie': `user=${user}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body) })
const add = (title: string) => call('PUT', '', { title, done: false })
const loads = async () => await (await call('GET', '/loads')).json() as string[]
const requests = async () => (await (await fetch(`${server.url}/api/requests`)).json() as { path: string }[]).map(({ path }) => path)
const titles = async (page: Page) => (await page.locator('#todos label').allTextContents()).map(text => text.trim())
const until = (pages: Page[], expected: string[]) => eventually(async () => expect(await Promise.all(pages.map(titles))).toEqual(pages.map(() => expected)))

describe('a list that the server renders', () => {
  it('is in the HTML, with the user\'s cookie, and the browser neither loads again nor polls', async () => {
    await add('Milk')
    await loads()
    const html = await (await fetch(`${server.url}/todos`, { headers: { cookie: `user=${user}` } })).text()
    expect(html).toContain('Milk')
    expect(await loads()).toEqual([user])
    await requests()
    const page = await openList()
    await add('Bread')
    await until([page], ['Milk', 'Bread'])
    expect(await loads()).toEqual([user])
    expect((await requests()).filter(path => path.includes('transport=poll'))).toEqual([])
    expect(problems).toEqual([])
  })

  it.each(['', '?share=page'])('needs no further code for the first gap and the first reconnect%s: after a deployment, the page would not find it', async (query) => {
    const page = await open(context)
    const loading = new Set<Request>()
    page.on('request', request => request.resourceType() === 'script' && loading.add(request))
    page.on('requestfinished', request => loading.delete(request))
    page.on('requestfailed', request => loading.delete(request))
    await page.goto(`${server.url}/todos${query}`)
    await eventually(async () => expect(await page.locator('#status').textContent()).toMatch(/^\s*connected/))
    await eventually(() => expect(loading.size).toBe(0))
    const missing: string[] = []
    await page.route(/\.js$/, async (route) => {
      missing.push(route.request().url())
      await route.abort()
    })
    await call('POST', '/lost')
    await eventually(async () => expect(await page.locator('#status').textContent()).toMatch(/^\s*connected\s+epoch/))
    await add('Milk')
    await until([page], ['Milk'])
    await context.setOffline(true)
    await eventually(async () => expect(await page.locator('#status').textContent()).not.toMatch(/^\s*connected/))
    await add('Bread')
    await context.setOffline(false)
    await until([page], ['Milk', 'Bread'])
    expect(missing).toEqual([])
    expect(problems).toEqual([])
  })

  it('is that of the user who requested the page', async () => {
    await add('Milk')
    const first = user
    await signIn(`${user}-other`)
    await add('Nails')
    const html = async (name: string) => (await fetch(`${server.url}/todos`, { headers: { cookie: `user=${name}` } })).text()
    const [one, other] = await Promise.all([html(first), html(user)])
    expect([one.includes('Milk'), one.includes('Nails'), other.includes('Milk'), other.includes('Nails')]).toEqual([true, false, false, true])
  })

  it('without a sign-in the failure is final, and the browser makes no request', async () => {
    await context.clearCookies()
    await requests()
    const page = await open(context)
    await page.goto(`${server.url}/todos`)
    await eventually(async () => expect((await page.locator('#status').textContent())!.trim()).toBe('closed LOAD_FAILED'))
    // That of the server, while it rendered.
    expect((await requests()).filter(path => path.startsWith('/api/todos'))).toEqual(['/api/todos'])
    expect(problems).toEqual([])
  })
})

describe.each(['', '?share=page'])('a list in two tabs%s', (query) => {
  it('shows what either creates, changes and deletes', async () => {
    const pages = [await openList(query), await openList(query)] as const
    await pages[0].fill('#title', 'Milk')
    await pages[0].click('#add')
    await until([...pages], ['Milk'])
    await pages[1].locator('#todos input').click()
    await until([...pages], ['Milk ✓'])
    await pages[1].fill('#title', 'Bread')
    await pages[1].click('#add')
    await until([...pages], ['Milk ✓', 'Bread'])
    await pages[0].locator('#todos button').first().click()
    await until([...pages], ['Bread'])
    expect(problems).toEqual([])
  })

  it('shows an optimistic change at once, its echo once, and takes it back if it is refused', async () => {
    const page = await openList(query)
    const answer = await holdRequests(page, '**/api/todos', request => request.method() === 'PUT')
    const fill = async (title: string) => {
      await page.fill('#title', title)
      await page.click('#add')
      await eventually(async () => expect(await page.locator('#todos .pending').count()).toBe(1))
    }
    await fill('Milk')
    expect(await titles(page)).toEqual(['Milk'])
    await answer('continue')
    await eventually(async () => expect(await page.locator('#todos .pending').count()).toBe(0))
    expect(await titles(page)).toEqual(['Milk'])
    await fill('Bread')
    await answer('abort')
    await until([page], ['Milk'])
  })

  it('loads again after a gap, and continues after the network was away', async () => {
    const pages = [await openList(query), await openList(query)]
    await add('Milk')
    await until(pages, ['Milk'])
    await loads()
    await call('POST', '/lost')
    await eventually(async () => expect(await Promise.all(pages.map(page => page.locator('#status').textContent()))).toEqual(pages.map(() => expect.stringMatching(/^\s*connected\s+epoch/))))
    const loaded: string[] = []
    await eventually(async () => {
      loaded.push(...await loads())
      expect(loaded).toEqual([user, user])
    })
    await add('Bread')
    await until(pages, ['Milk', 'Bread'])

    await context.setOffline(true)
    await eventually(async () => expect(await pages[0]!.locator('#status').textContent()).not.toMatch(/^\s*connected/))
    await add('Eggs')
    await context.setOffline(false)
    await until(pages, ['Milk', 'Bread', 'Eggs'])
    expect(await loads()).toEqual([])
  })
})
