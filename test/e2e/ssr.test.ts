import type { Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NETWORK_ERROR, useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'

/** The rendered state of a reader, and the parts of it that ran in the browser. */
interface Shown { data: number[], message?: number, messages: number[], status: string, position?: string, gap?: string, ended: boolean, error?: string }
interface Ran { reduce: number[], callback: number[] }
interface Asked { method: string, path: string, lastEventId?: string, cookie?: string, agent?: string, type?: string, body?: string }

let page: Page
let server: BuiltServer

afterEach(stopBuiltServers)
// The browser's own report of an answer that is not 200 is no mismatch.
const { open, problems } = useBrowser({ known: NETWORK_ERROR })
beforeEach(async () => {
  server = await startBuiltServer('ssr')
  await newPage()
})

async function newPage(): Promise<void> {
  await page?.context().close()
  page = await open()
  // All states that are ever shown, from the first byte of the page on.
  await page.addInitScript(() => {
    const shown: Record<string, string[]> = (window as unknown as { shown: Record<string, string[]> }).shown = {}
    new MutationObserver(() => {
      for (const { id, textContent } of document.querySelectorAll('pre')) {
        if (shown[id]?.at(-1) !== textContent) (shown[id] ??= []).push(textContent!)
      }
    }).observe(document, { subtree: true, childList: true, characterData: true })
  })
}

const publish = (channel: string, messages: unknown[] | string, query = '') => fetch(`${server.url}/api/publish/${channel}${query}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: typeof messages === 'string' ? messages : JSON.stringify(messages) })
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => ({ n: from + index }))
const asked = async (): Promise<Asked[]> => (await fetch(`${server.url}/api/requests`)).json()
const stats = async () => (await fetch(`${server.url}/api/stats`)).json()
const at = (url: string, query = '') => `${server.url}/?url=${encodeURIComponent(url)}${query}`

/** The HTML from the server, as every client without JavaScript gets it. */
async function rendered(url: string, { id = 'reader', cookie = '' } = {}): Promise<Shown & { html: string }> {
  const html = await (await fetch(url, { headers: { cookie } })).text()
  const text = new RegExp(`<pre id="${id}">([^<]*)</pre>`).exec(html)![1]!
  return { ...JSON.parse(text.replaceAll('&quot;', '"')), html }
}

const shown = async (id = 'reader'): Promise<Shown> => JSON.parse((await page.locator(`#${id}`).textContent())!)
const everShown = async (id = 'reader'): Promise<Shown[]> => (await page.evaluate(id => (window as unknown as { shown: Record<string, string[]> }).shown[id]!, id)).map(text => JSON.parse(text))
const ran = (id = 'reader') => page.evaluate(id => (window as unknown as { ran: Record<string, Ran> }).ran[id]!, id)
const until = (expected: Partial<Shown>, id?: string) => eventually(async () => expect(await shown(id)).toMatchObject(expected))
const isStream = ({ path }: Asked) => !path.includes('transport=poll') && !path.startsWith('/api/stats')

describe('data that the server reads', () => {
  // @guarantee server-idle
  it('is in the page, and in the browser\'s first render; it continues from there, and nothing comes twice', async () => {
    await publish('page', numbers(1, 3))
    const { html, ...first } = await rendered(at('/api/channel/page'))
    expect(first).toEqual({ data: [1, 2, 3], message: 3, messages: [2, 3], status: 'idle', position: expect.stringMatching(/\.3$/), ended: false, attempt: 0, transport: 'stream' })

    await asked()
    await page.goto(at('/api/channel/page'))
    await until({ status: 'connected' })
    await publish('page', numbers(4, 4))
    await until({ data: [1, 2, 3, 4], messages: [3, 4] })
    expect(problems).toEqual([])
    // No flash: never less than was rendered.
    const [begin, ...rest] = await everShown()
    expect(begin).toEqual(first)
    for (const { data } of rest) expect(data.slice(0, 3)).toEqual([1, 2, 3])

    expect(await ran()).toEqual({ reduce: [4], callback: [4] })
    const requests = await asked()
    expect(requests.filter(isStream)).toMatchObject([{ path: '/api/channel/page', lastEventId: first.position }])
    expect((await stats()).messagesSent).toBe(1)
  })

  it('is all of it, page after page', async () => {
    await publish('many', numbers(1, 2_500))
    expect((await rendered(at('/api/channel/many'))).data).toEqual(numbers(1, 2_500).map(({ n }) => n))
  })

  it('is bounded; the browser has the rest, and nothing twice', async () => {
    await publish('more', numbers(1, 10_500))
    await page.goto(at('/api/channel/more'))
    await until({ data: numbers(1, 10_500).map(({ n }) => n) })
    expect((await everShown())[0]!.data).toHaveLength(10_000)
    expect((await ran()).reduce).toEqual(numbers(10_001, 10_500).map(({ n }) => n))
    expect(problems).toEqual([])
  })

  it.each([
    ['JSON', '', 'application/json', '{"name":["a b"]}'],
    ['a form', '?form=1', 'application/x-www-form-urlencoded;charset=UTF-8', 'name=a+b'],
  ])('is requested with the method, query, headers, body and position of the call: %s', async (_, query, type, body) => {
    await publish('posted', numbers(1, 3))
    await page.context().addCookies([{ name: 'user', value: 'ann', url: server.url }])
    await page.goto(`${server.url}/request${query}`)
    await eventually(async () => expect((await page.locator('#request').textContent())!.trim()).toBe('connected 2,3'))
    expect(problems).toEqual([])
    const [read, rest, stream, ...more] = await asked()
    const same = { method: 'POST', cookie: 'user=ann', agent: 'tests', type, body }
    expect(read).toEqual({ ...same, path: '/api/channel/posted?fixed=1&position=1&asked=2&transport=poll&waitMs=0' })
    expect(rest).toMatchObject({ ...same, path: expect.stringMatching(/\?fixed=1&asked=2&transport=poll&waitMs=0&position=e\w+\.3$/) })
    expect(stream).toMatchObject({ ...same, path: '/api/channel/posted?fixed=1&asked=2', lastEventId: expect.stringMatching(/\.3$/) })
    expect(more).toEqual([])
  })

  it('ends where the source has ended: the browser does not connect', async () => {
    await publish('done', numbers(1, 2), '?end')
    await page.goto(at('/api/channel/done'))
    await until({ status: 'closed', ended: true, data: [1, 2] })
    expect((await everShown())[0]).toMatchObject({ status: 'idle', ended: true, data: [1, 2] })
    expect((await asked()).filter(isStream)).toEqual([])
    expect(problems).toEqual([])
    // It can still connect on request.
    await page.click('#reader-connect')
    await eventually(async () => expect((await asked()).filter(isStream)).toMatchObject([{ lastEventId: expect.stringMatching(/\.2$/) }]))
    await until({ status: 'closed', data: [1, 2] })
  })

  it('ends at the message that `until` names', async () => {
    await publish('until', numbers(1, 4))
    await page.goto(at('/api/channel/until', '&until=3'))
    await until({ status: 'closed', ended: true, data: [1, 2, 3], position: expect.stringMatching(/\.3$/) })
    expect((await asked()).filter(isStream)).toEqual([])
    expect(problems).toEqual([])
  })

  it('is empty with `immediate: false`: nothing is requested until `connect()`', async () => {
    await publish('asked', numbers(1, 2))
    await page.goto(at('/api/channel/asked', '&immediate=false'))
    await eventually(async () => expect(await ran()).toEqual({ reduce: [], callback: [] }))
    expect(await asked()).toEqual([])
    expect((await everShown())).toMatchObject([{ status: 'idle', data: [] }])
    await page.click('#reader-connect')
    await until({ status: 'connected', data: [1, 2] })
    expect(problems).toEqual([])
  })

  it.each(['page', 'browser'])('is the position from which a sharing call resumes (%s), and each tab has each once', async (share) => {
    await publish('shared', numbers(1, 3))
    await page.goto(at('/api/channel/shared', `&share=${share}`))
    await until({ status: 'connected', data: [1, 2, 3] })
    await publish('shared', numbers(4, 6))
    await until({ data: [1, 2, 3, 4, 5, 6] })
    // Another one is rendered when there is more than at the start of the first.
    const first = page
    page = await open(page.context())
    await page.goto(at('/api/channel/shared', `&share=${share}`))
    await until({ status: 'connected', data: [1, 2, 3, 4, 5, 6] })
    await publish('shared', numbers(7, 8))
    await until({ data: [1, 2, 3, 4, 5, 6, 7, 8], messages: [7, 8] })
    expect((await ran()).reduce).toEqual([7, 8])
    page = first
    await until({ data: [1, 2, 3, 4, 5, 6, 7, 8], messages: [7, 8] })
    expect((await ran()).reduce).toEqual([4, 5, 6, 7, 8])
    expect((await asked()).filter(isStream)).toHaveLength(share === 'browser' ? 1 : 2)
    expect(problems).toEqual([])
  })

  it('holds all types that a payload holds', async () => {
    await publish('values', numbers(1, 2))
    await page.goto(`${server.url}/values`)
    await eventually(async () => expect((await asked()).filter(isStream)).toHaveLength(1))
    expect((await page.locator('#values').textContent())!.trim()).toBe('n1=10,n2=100 1970-01-01T00:00:00.001Z,1970-01-01T00:00:00.002Z')
    await publish('values', numbers(3, 3))
    await eventually(async () => expect(await page.locator('#values').textContent()).toContain('n3=1000'))
    expect(problems).toEqual([])
  })

  it('stops before data that no payload can hold, and the page is not broken by it', async () => {
    await publish('proto', numbers(1, 1))
    // As a malicious publisher may send it. A page is read as a whole.
    await publish('proto', '[{"n":2,"__proto__":{"a":1}}]')
    await page.goto(at('/api/channel/proto'))
    expect((await everShown())[0]).toMatchObject({ data: [] })
    await until({ status: 'connected', data: [1, 2] })
    expect(problems).toEqual([])
  })
})

describe('data of several channels', () => {
  const BOTH = ['a', 'b'] as const
  const several = (name: string, keys: string, share = '') => `${server.url}/several?name=${name}&keys=${keys}${share && `&share=${share}`}`
  const fill = (name: string) => Promise.all([publish(`${name}-a`, numbers(1, 3)), publish(`${name}-b`, numbers(11, 12))])
  /** Messages of both channels, in the order of each: between channels there is none. */
  const split = (data: number[]) => [data.filter(n => n < 10), data.filter(n => n > 10)]

  it('is in the page, and in the browser\'s first render; each channel resumes, and nothing comes twice', async () => {
    await fill('all')
    const { html, ...first } = await rendered(several('all', 'all'), { id: 'all' })
    expect([split(first.data), first.status, first.ended, first.error]).toEqual([[[1, 2, 3], [11, 12]], 'idle', false, undefined])
    expect(first.position).toMatch(/^a:e\w+\.3,b:e\w+\.2$/)

    await asked()
    await page.goto(several('all', 'all'))
    await until({ status: 'connected' }, 'all')
    await publish('all-b', numbers(13, 13))
    await until({ message: 13 }, 'all')
    await publish('all-a', numbers(4, 4))
    await eventually(async () => expect(split((await shown('all')).data)).toEqual([[1, 2, 3, 4], [11, 12, 13]]))
    expect(problems).toEqual([])
    const [begin, ...rest] = await everShown('all')
    expect(begin).toEqual(first)
    // No flash: never less than was rendered.
    for (const { data } of rest) expect(data.slice(0, 5)).toEqual(first.data)
    expect(await ran('all')).toEqual({ reduce: [13, 4], callback: [13, 4] })
    expect((await asked()).filter(isStream)).toMatchObject([{ path: '/api/several/all', lastEventId: first.position }])
    expect((await stats()).messagesSent).toBe(2)
  })

  it.each(['', 'page', 'browser'])('with `channel`, each call renders its own, and continues there: share \'%s\'', async (share) => {
    await fill('own')
    const html = await rendered(several('own', 'a,b,all', share), { id: 'a' })
    expect([html.data, html.position]).toEqual([[1, 2, 3], expect.stringMatching(/^e\w+\.3$/)])

    await asked()
    await page.goto(several('own', 'a,b,all', share))
    for (const id of [...BOTH, 'all']) await until({ status: 'connected' }, id)
    const before = (await asked()).filter(isStream)
    // Without `share`, each call has a connection. The leader of a group follows its own channel, and the end of the other.
    expect(before).toHaveLength(share ? 1 : 3)
    expect((await stats()).messagesSent).toBe(0)
    await publish('own-a', numbers(4, 4))
    await publish('own-b', numbers(13, 13))
    await until({ data: [1, 2, 3, 4], position: expect.stringMatching(/^e\w+\.4$/) as unknown as string }, 'a')
    await until({ data: [11, 12, 13], position: expect.stringMatching(/^e\w+\.3$/) as unknown as string }, 'b')
    await eventually(async () => expect(split((await shown('all')).data)).toEqual([[1, 2, 3, 4], [11, 12, 13]]))
    expect((await everShown('a'))[0]).toMatchObject({ data: [1, 2, 3], status: 'idle' })
    expect((await everShown('b'))[0]).toMatchObject({ data: [11, 12], status: 'idle' })
    expect([await ran('a'), await ran('b')]).toEqual([{ reduce: [4], callback: [4] }, { reduce: [13], callback: [13] }])
    expect(problems).toEqual([])
    expect((await stats()).messagesSent).toBe(share ? 2 : 6)
    expect((await asked()).filter(({ path }) => path.startsWith('/api/several'))).toEqual([])
  })

  it('messages that were published after the rendering are read once, and a dropped one is a gap of its channel alone', async () => {
    await fill('between')
    // Its scripts wait until more has been published.
    const { promise, resolve } = Promise.withResolvers<void>()
    await page.route(/\.js$/, async (route) => {
      await promise
      await route.continue()
    })
    await page.goto(several('between', 'a,b', 'page'), { waitUntil: 'commit' })
    await publish('between-a', numbers(4, 5))
    await publish('between-b', numbers(1, 1), '?delete')
    await publish('between-b', numbers(21, 21))
    resolve()
    await until({ status: 'connected', data: [1, 2, 3, 4, 5] }, 'a')
    await until({ status: 'connected', data: [11, 12, 21], gap: 'epoch' }, 'b')
    expect(await shown('a')).not.toHaveProperty('gap')
    expect((await ran('a')).reduce).toEqual([4, 5])
    expect((await everShown('b'))[0]!.data).toEqual([11, 12])
    expect(problems).toEqual([])
  })

  it('a call whose channel has ended does not connect, and the other one does', async () => {
    await fill('over')
    await publish('over-a', [], '?end')
    await page.goto(several('over', 'a,b', 'page'))
    await until({ status: 'closed', ended: true, data: [1, 2, 3] }, 'a')
    await until({ status: 'connected', ended: false, data: [11, 12] }, 'b')
    expect((await asked()).filter(isStream)).toHaveLength(1)
    expect((await stats()).messagesSent).toBe(0)
    expect(problems).toEqual([])
  })

  it('a channel that the route lacks is reported by the browser, and the page is rendered', async () => {
    await fill('lacks')
    await page.goto(several('lacks', 'a,c'))
    await until({ status: 'connected', data: [1, 2, 3] }, 'a')
    await until({ status: 'closed', error: 'UNKNOWN_CHANNEL', data: [] }, 'c')
    expect((await everShown('c'))[0]).toMatchObject({ data: [], status: 'idle' })
    expect(problems).toEqual([])
  })
})

describe('the owner of messages', () => {
  it('is the user whose cookie came with the page, and no other', async () => {
    await publish('user:ann', numbers(1, 2))
    await publish('user:bob', numbers(7, 9))
    const own = { ann: [1, 2], bob: [7, 8, 9] }
    const users = Array.from({ length: 40 }, (_, index) => index % 2 ? 'ann' as const : 'bob' as const)
    const pages = await Promise.all(users.map(user => rendered(at('/api/user'), { cookie: `user=${user}` })))
    for (const [index, { data, html }] of pages.entries()) {
      const user = users[index]!
      expect(data).toEqual(own[user])
      // The payload has none either.
      const { position } = pages.find((_, other) => users[other] !== user)!
      expect(html).not.toContain(position!.split('.')[0])
    }
    expect((await rendered(at('/api/user'))).error).toBe('HTTP_ERROR')

    await page.context().addCookies([{ name: 'user', value: 'ann', url: server.url }])
    await page.goto(at('/api/user'))
    await until({ status: 'connected', data: [1, 2] })
    expect((await asked()).filter(isStream)).toMatchObject([{ cookie: 'user=ann' }])
    expect(problems).toEqual([])
  })

  it('is unknown in a page that is cached for all: the browser requests its own', async () => {
    await publish('user:ann', numbers(1, 2))
    const cookie = 'user=ann'
    expect(await rendered(`${server.url}/cached`, { id: 'user', cookie })).toMatchObject({ data: [], status: 'idle' })
    // An error in rendering the page concerns no other client: they do not receive it, and send their own requests.
    expect((await rendered(`${server.url}/cached`, { id: 'user' })).error).toBeUndefined()
    await page.context().addCookies([{ name: 'user', value: 'ann', url: server.url }])
    await page.goto(`${server.url}/cached`)
    await until({ status: 'connected', data: [1, 2] }, 'user')
    expect(problems).toEqual([])
  })
})

describe('a run that only one client may continue', () => {
  it('is in a page for that client, and not in one that is cached for all', async () => {
    const own = await rendered(at('/api/run'))
    expect(own.position).toMatch(/^e[a-z\d]{26}\.\d+$/)
    const [one, other] = [await rendered(`${server.url}/cached`, { id: 'run' }), await rendered(`${server.url}/cached`, { id: 'run' })]
    for (const { data, error, html } of [one, other]) {
      expect({ data, error }).toEqual({ data: [] })
      expect(html).not.toMatch(/\be[a-z\d]{26}\./)
    }
    await page.goto(`${server.url}/cached`)
    await until({ status: 'closed', data: [1, 2], ended: true }, 'run')
    expect(problems).toEqual([])
  })
})

describe('a source that cannot be read', () => {
  it('is reported, and the page rendered; the same answer is not requested again, unless by `connect()`', async () => {
    await page.goto(at('/api/status?code=404'))
    await until({ status: 'closed', error: 'HTTP_ERROR', data: [] })
    expect((await everShown())[0]).toMatchObject({ status: 'idle', error: 'HTTP_ERROR' })
    expect((await asked()).filter(isStream)).toEqual([])
    expect(problems).toEqual([])
    await page.click('#reader-connect')
    await eventually(async () => expect((await asked()).filter(isStream)).toHaveLength(1))
  })

  it('is retried by the browser where that may help', async () => {
    await page.goto(at('/api/away'))
    await eventually(async () => expect((await asked()).filter(isStream).length).toBeGreaterThan(0))
    expect((await everShown())[0]).toMatchObject({ status: 'idle', error: 'HTTP_ERROR' })
    await fetch(`${server.url}/api/away?back&transport=poll&waitMs=0`)
    await publish('away', numbers(1, 1))
    await until({ status: 'connected', data: [1] })
    expect(await shown()).not.toHaveProperty('error')
    expect(problems).toEqual([])
  })

  it('does not hold the page up for long', async () => {
    expect(await rendered(at('/api/stuck'))).toMatchObject({ error: 'CONNECT_TIMEOUT', data: [] })
    await publish('stuck', numbers(1, 1))
    await page.goto(at('/api/stuck'))
    await until({ status: 'connected', data: [1] })
    expect(problems).toEqual([])
  })

  it('bounds of one client do not apply to all others in rendering', async () => {
    await server.stop()
    server = await startBuiltServer('ssr', { env: { NUXT_SSE_MAX_CONNECTIONS_PER_CLIENT: '1' } })
    await publish('busy', numbers(1, 1))
    const pages = await Promise.all(Array.from({ length: 20 }, () => rendered(at('/api/channel/busy'))))
    expect(pages.map(({ data, error }) => [data, error])).toEqual(pages.map(() => [[1], undefined]))
  })

  it('an invalid URL breaks no page', async () => {
    expect(await rendered(at('http://'))).toMatchObject({ data: [], status: 'idle' })
  })

  it.each([
    ['a source that keeps nothing', '/api/generator', { data: [1, 2], status: 'closed', ended: true }],
    ['a redirect', '/api/status?code=302&to=/api/channel/target', { data: [1], status: 'connected' }],
  ])('%s is left to the browser, without an error', async (_, url, expected) => {
    await publish('target', numbers(1, 1))
    await page.goto(at(url))
    await until(expected)
    const [first] = await everShown()
    expect(first).toMatchObject({ data: [], status: 'idle', ended: false })
    expect(first).not.toHaveProperty('error')
    expect(problems).toEqual([])
  })

  it('another host gets no request, and no cookie', async () => {
    const { port } = await startBuiltServer('ssr')
    await publish('x', numbers(1, 1))
    const other = `http://localhost:${port}/api/channel/x`
    expect(await rendered(at(other), { cookie: 'user=ann' })).toMatchObject({ data: [] })
    expect(await (await fetch(`http://127.0.0.1:${port}/api/requests`)).json()).toEqual([])
    // The full name of this host is no other host.
    await publish('full', numbers(1, 1))
    expect(await rendered(at(`${server.url}/api/channel/full`))).toMatchObject({ data: [1] })
  })

  it('a page that requests itself as a route is rendered once', async () => {
    expect(await rendered(`${server.url}/self`)).toMatchObject({ data: [], status: 'idle' })
  })

  it('a failed source has reported its error, and is not requested again', async () => {
    await publish('broken', numbers(1, 1), '?fail')
    await page.goto(at('/api/channel/broken'))
    await until({ status: 'closed', error: 'BROKEN', data: [1] })
    expect((await asked()).filter(isStream)).toEqual([])
    expect(problems).toEqual([])
  })
})

describe('the identity of a call', () => {
  it('is kept for two calls in one setup, before and after an await, and for two instances; IDs stay unchanged', async () => {
    await publish('a', numbers(1, 2))
    await publish('b', numbers(3, 4))
    await page.goto(`${server.url}/pairs`)
    const requests: Asked[] = []
    await eventually(async () => {
      requests.push(...await asked())
      expect(requests.filter(isStream)).toHaveLength(6)
    })
    await publish('a', numbers(5, 5))
    for (const id of ['one', 'other']) await until({ data: [1, 2, 5] }, id)
    const text = (id: string) => page.locator(`#${id}`).innerText()
    await eventually(async () => expect([await text('a'), await text('b')]).toEqual(['[ 2, 4, 10 ] 1;2;5;', '[ 6, 8 ] 3;4;']))
    for (const id of ['one', 'other']) expect(await ran(id)).toEqual({ reduce: [5], callback: [5] })
    expect(problems).toEqual([])
  })

  it('is kept in a plugin, which connects when all is hydrated', async () => {
    await publish('plugin', numbers(1, 2))
    await page.goto(`${server.url}/plugin`)
    await publish('plugin', numbers(3, 3))
    await eventually(async () => expect((await page.locator('#notices').textContent())!.trim()).toBe('connected 1,2,3'))
    expect((await asked()).filter(isStream)).toMatchObject([{ lastEventId: expect.stringMatching(/\.2$/) }])
    expect(problems).toEqual([])
  })

  it('is kept in a component that is hydrated late, with its rendered data', async () => {
    await publish('late', numbers(1, 2))
    await page.goto(`${server.url}/late`)
    await publish('late', numbers(3, 3))
    await page.waitForLoadState('networkidle')
    expect((await asked()).filter(isStream)).toEqual([])
    await page.click('#reader')
    await until({ status: 'connected', data: [1, 2, 3] })
    expect((await ran()).reduce).toEqual([3])
    expect(problems).toEqual([])
  })

  it('is new in a component that is mounted later', async () => {
    await publish('again', numbers(1, 2))
    await page.goto(at('/api/channel/again'))
    await until({ status: 'connected', data: [1, 2] })
    await page.click('#toggle')
    await page.click('#toggle')
    await asked()
    await until({ status: 'connected', data: [1, 2] })
    expect((await ran()).reduce).toEqual([1, 2])
    expect(problems).toEqual([])
  })

  it('is lost, with its data, when the URL changes', async () => {
    await publish('here', numbers(1, 2))
    await publish('there', numbers(3, 3))
    await page.goto(at('/api/channel/here', `&next=${encodeURIComponent('/api/channel/there')}`))
    await until({ status: 'connected', data: [1, 2] })
    await asked()
    await page.click('#move')
    await until({ status: 'connected', data: [3] })
    const [request, ...more] = await asked()
    expect([request, more]).toEqual([{ method: 'GET', path: '/api/channel/there' }, []])
  })

  it('is kept below the application\'s baseURL', async () => {
    await server.stop()
    server = await startBuiltServer('ssr', { env: { NUXT_APP_BASE_URL: '/below/' } })
    const { url } = server
    server.url = `${url}/below`
    await publish('based', numbers(1, 2))
    await page.goto(`${server.url}/?url=/api/channel/based`)
    await until({ status: 'connected', data: [1, 2] })
    expect((await ran()).reduce).toEqual([])
    expect(problems).toEqual([])
  })
})

describe('a page that was made earlier', () => {
  it('resumes from where it was made; dropped messages are a gap', async () => {
    const url = `${server.url}/cached`
    await publish('short', numbers(1, 1))
    expect((await rendered(url)).data).toEqual([1])
    await publish('short', numbers(2, 2))
    await page.goto(url)
    await until({ status: 'connected', data: [1, 2] })
    expect((await everShown())[0]!.data).toEqual([1])
    expect(await shown()).not.toHaveProperty('gap')
    expect(problems).toEqual([])

    await newPage()
    await publish('short', numbers(3, 8))
    await page.goto(url)
    await until({ status: 'connected', data: [1, 6, 7, 8], gap: 'trimmed' })
    expect((await everShown())[0]!.data).toEqual([1])
    expect(problems).toEqual([])
  })

  it('receives a gap when it was made at the build, in another life of the log', async () => {
    const url = `${server.url}/prerendered`
    expect(await rendered(url)).toMatchObject({ data: [1] })
    await publish('prerendered', numbers(5, 6))
    await page.goto(url)
    await until({ status: 'connected', data: [1, 5, 6], gap: 'epoch' })
    expect(problems).toEqual([])
  })
})
