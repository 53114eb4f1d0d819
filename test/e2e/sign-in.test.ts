import type { BrowserContext, Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SSEError, openSSE } from '../../src/runtime/client'
import { NETWORK_ERROR, useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { SSEReader } from '../support/read-sse'
import { startRedis, stopRedis } from '../support/redis'
import { eventually } from '../support/conditions'
import { VIEWPORT } from '../support/playground'

/** The settings of the playground's notifications in production. */
const ENV = { NUXT_SESSION_PASSWORD: 'p'.repeat(32), NUXT_SSE_TICKET_SECRET: 's'.repeat(32) }
/** So short that a test can wait until they have expired. */
const SHORT = { ...ENV, NUXT_SIGN_IN_TOKEN_MS: '2000', NUXT_SIGN_IN_TICKET_MS: '2000' }
const LONG = { ...ENV, NUXT_SIGN_IN_TOKEN_MS: '60000' }

interface Session { cookie: string }

let server: BuiltServer
async function start(env: Record<string, string>): Promise<void> {
  server = await startBuiltServer('playground', { env })
}
afterEach(async () => {
  await stopBuiltServers()
  await stopRedis()
})

const api = (path: string, init?: RequestInit) => fetch(server.url + path, init)
const post = (path: string, headers: HeadersInit, body: unknown = {}) => api(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers as Record<string, string> }, body: JSON.stringify(body) })

async function signIn(user: string): Promise<Session> {
  const [cookie] = (await post('/api/sign-in', {}, { user })).headers.getSetCookie()
  return { cookie: cookie!.split(';')[0]! }
}
const signOut = (headers: Session) => api('/api/_auth/session', { method: 'DELETE', headers: { ...headers } })
const tokenOf = async (headers: Session) => await (await post('/api/notices/token', { ...headers })).json() as { token: string, expiresAt: number }
const ticketOf = async (headers: Session) => (await (await post('/api/notices/ticket', { ...headers })).json() as { ticket: string }).ticket
const send = async (from: Session, to: string, text: string) => (await (await post('/api/notices', { ...from }, { to, text })).json() as { id: string }).id

/** The requests of a user, one for each way to sign in. */
async function waysOf(headers: Session): Promise<[path: string, headers: Record<string, string>][]> {
  return [
    ['/api/notices/stream?', { ...headers }],
    ['/api/notices/bearer?', { authorization: `Bearer ${(await tokenOf(headers)).token}` }],
    [`/api/notices/plain?ticket=${await ticketOf(headers)}&`, {}],
  ]
}

const FORGED = 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.AAAA'
const STRANGERS: [path: string, headers: Record<string, string>][] = [
  ['/api/notices/stream?', {}],
  ['/api/notices/stream?', { cookie: 'nuxt-session=Fe26.2**AAAA' }],
  ['/api/notices/bearer?', {}],
  ['/api/notices/bearer?', { authorization: `Bearer ${FORGED}` }],
  ['/api/notices/plain?', {}],
  [`/api/notices/plain?ticket=${FORGED}&`, {}],
]

describe('an unauthorized client', () => {
  beforeEach(() => start(LONG))

  it('gets nothing by any way, over either transport, nor with a position of another user: not a byte of a stream', async () => {
    const [ann, bob] = await Promise.all(['ann', 'bob'].map(signIn)) as [Session, Session]
    const id = await send(bob, 'ann', 'for ann alone')
    await send(bob, 'ann', 'that too')
    // A token is valid for nothing else, a ticket neither.
    const { token } = await tokenOf(ann)
    const ticket = await ticketOf(ann)
    const all = [...STRANGERS, [`/api/notices/plain?ticket=${token}&`, {}], ['/api/notices/bearer?', { authorization: `Bearer ${ticket}` }]] as typeof STRANGERS
    for (const [path, headers] of all) {
      for (const query of ['', 'position=0', `position=${id}`, `transport=poll&waitMs=0&position=${id}`]) {
        const answer = await api(path + query, { headers: { ...headers, 'last-event-id': id } })
        expect([answer.status, answer.headers.get('content-type')], path + query).toEqual([401, 'application/json'])
        expect(await answer.text()).not.toMatch(/for ann|that too/)
      }
    }
  })

  it('gets its own messages when signed in as another user, and a gap', async () => {
    const [ann, bob, cleo] = await Promise.all(['ann', 'bob', 'cleo'].map(signIn)) as [Session, Session, Session]
    const id = await send(bob, 'ann', 'for ann alone')
    await send(ann, 'cleo', 'for cleo')
    for (const [path, headers] of await waysOf(cleo)) {
      await using reader = await SSEReader.open(server.url + path, { headers: { ...headers, 'last-event-id': id } })
      await reader.until(({ data }) => data.length > 0)
      expect(reader.controls).toMatchObject([{ type: 'open', resumed: false }, { type: 'gap', reason: 'epoch' }])
      expect(reader.data).toMatchObject([{ from: 'Ann', text: 'for cleo' }])
      const batch = await (await api(`${path}transport=poll&waitMs=0&position=${id}`, { headers })).json()
      expect(batch.messages.map(({ data }: { data: { text: string } }) => data.text)).toEqual(['for cleo'])
    }
  })

  it('gets no more after it has signed out: open streams end, and none opens again, with credentials that are still valid by themselves', async () => {
    const [ann, bob] = await Promise.all(['ann', 'bob'].map(signIn)) as [Session, Session]
    const ways = await waysOf(ann)
    const readers = await Promise.all(ways.map(([path, headers]) => SSEReader.open(server.url + path, { headers })))
    for (const reader of readers) await reader.until(({ controls }) => controls.length === 1)
    await signOut(ann)
    await Promise.all(readers.map(({ finished }) => finished))
    for (const reader of readers) expect(reader.controls.at(-1)).toMatchObject({ type: 'error', statusCode: 401, retry: false })
    const id = await send(bob, 'ann', 'after ann has gone')
    for (const [path, headers] of ways) expect((await api(`${path}position=${id}`, { headers })).status).toBe(401)
    expect(server.output()).not.toContain('eyJ')
  })
})

it('is signed out at all instances after it signs out at one', async () => {
  const redis = await startRedis()
  const other = await startBuiltServer('playground', { env: { ...LONG, NUXT_SSE_REDIS_URL: redis.url } })
  await start({ ...LONG, NUXT_SSE_REDIS_URL: redis.url })
  const [ann, bob] = await Promise.all(['ann', 'bob'].map(signIn)) as [Session, Session]
  const readers = await Promise.all((await waysOf(ann)).map(([path, headers]) => SSEReader.open(other.url + path, { headers })))
  await send(bob, 'ann', 'to all of them')
  for (const reader of readers) await reader.until(({ data }) => data.length === 1)
  await signOut(ann)
  await Promise.all(readers.map(({ finished }) => finished))
  for (const reader of readers) expect(reader.controls.at(-1)).toMatchObject({ type: 'error', statusCode: 401 })
})

describe('a bearer token', () => {
  beforeEach(() => start(SHORT))

  /** A client with fresh tokens, in a tab of its own, so that its connections can be cut. */
  function open(ann: Session, tab: string) {
    const tokens: string[] = []
    let current: { token: string, expiresAt: number } | undefined
    const source = openSSE<{ text: string }>(`${server.url}/api/notices/bearer`, {
      query: { tab },
      position: 'now',
      reconnect: { minDelayMs: 10 },
      async headers() {
        // Long enough for the request.
        if (!current || current.expiresAt - Date.now() < 1_000) tokens.push((current = await tokenOf(ann)).token)
        return { authorization: `Bearer ${current.token}` }
      },
    })
    const texts: string[] = []
    const done = (async () => {
      for await (const { data } of source) texts.push(data.text)
    })()
    return { source, tokens, texts, done, cut: () => post('/api/dev/cut', {}, { tab }) }
  }

  it('that expires is replaced by a fresh one at the reconnect, which resumes at its position', async () => {
    const [ann, bob] = await Promise.all(['ann', 'bob'].map(signIn)) as [Session, Session]
    const { source, tokens, texts, done, cut } = open(ann, 'bearer')
    await eventually(() => expect(source.status).toBe('connected'))
    await send(bob, 'ann', 'one')
    await eventually(() => expect(texts).toEqual(['one']))
    // The old one is invalid by now; a client that was cut off meanwhile has missed nothing.
    await eventually(async () => expect((await api('/api/notices/bearer?transport=poll&waitMs=0', { headers: { authorization: `Bearer ${tokens[0]}` } })).status).toBe(401))
    await cut()
    await send(bob, 'ann', 'two')
    await eventually(() => expect(texts).toEqual(['one', 'two']))
    expect(tokens.length).toBeGreaterThan(1)
    expect(new Set(tokens).size).toBe(tokens.length)
    source.close()
    await done
  })

  it('that expires while its stream is open: the server requests a fresh one, and nothing is missed', async () => {
    const [ann, bob] = await Promise.all(['ann', 'bob'].map(signIn)) as [Session, Session]
    const { source, tokens, texts, done } = open(ann, 'left')
    await eventually(() => expect(source.status).toBe('connected'))
    const sent: string[] = []
    while (tokens.length < 3) {
      sent.push(`n${sent.length}`)
      await send(bob, 'ann', sent.at(-1)!)
      await eventually(() => expect(texts).toEqual(sent))
    }
    expect([source.error, source.gap]).toEqual([undefined, undefined])
    source.close()
    await done
  })

  it('that cannot be renewed ends the client for good, where the function reports it; a passing failure is retried', async () => {
    const ann = await signIn('ann')
    let asked = 0
    const source = openSSE(`${server.url}/api/notices/bearer`, {
      reconnect: { minDelayMs: 1 },
      async headers() {
        if (++asked < 3) throw new Error('The network is away.')
        const answer = await post('/api/notices/token', { ...ann })
        if (answer.status === 401) throw new SSEError('SIGNED_OUT', 'You have signed out.', { statusCode: 401 })
        return { authorization: `Bearer ${(await answer.json()).token}` }
      },
    })
    const failed = (async () => {
      for await (const _ of source) void _
    })().catch(error => error)
    await eventually(() => expect(source.status).toBe('connected'))
    expect(asked).toBe(3)
    await signOut(ann)
    expect(await failed).toMatchObject({ statusCode: 401, retry: false })
  })
})

describe('in Chromium', () => {
  // A connection that is cut or refused shows in the console whatever a page does.
  const browser = useBrowser({ known: NETWORK_ERROR, viewport: VIEWPORT })
  const { problems } = browser
  let page: Page
  beforeEach(async () => {
    await start(SHORT)
    page = await open()
  })

  async function open(context?: BrowserContext): Promise<Page> {
    const one = await browser.open(context)
    await one.goto(`${server.url}/notifications`)
    return one
  }
  const status = (of = page) => of.getByRole('complementary').getByRole('status').innerText()
  const shown = (of = page) => of.getByTestId('notice').allInnerTexts()
  const enter = (name: string, of = page) => of.getByRole('button', { name: `Sign in as ${name}` }).click()
  async function write(text: string, to: string, of = page): Promise<void> {
    await of.locator('form').getByRole('combobox').selectOption(to)
    await of.getByRole('textbox', { name: 'Message' }).fill(text)
    await of.getByRole('button', { name: 'Send' }).click()
  }

  it('notices reach their recipients only; a user who signs out is out in every tab', async () => {
    const other = await open()
    await Promise.all([enter('Ann'), enter('Bob', other)])
    for (const one of [page, other]) await eventually(async () => expect(await status(one)).toBe('connected'))
    await write('Hello Ann', 'Ann', other)
    await eventually(async () => expect((await shown())[0]).toBe('Hello Ann'))
    await page.getByRole('button', { name: 'Cut the connection' }).click()
    await write('Still there?', 'Ann', other)
    await eventually(async () => expect(await shown()).toEqual(['Still there?', 'Hello Ann']))
    expect(await shown(other)).toEqual([])

    const tab = await open(page.context())
    await eventually(async () => expect(await status(tab)).toBe('connected'))
    await page.getByRole('button', { name: 'Sign out Ann' }).click()
    for (const one of [page, tab]) await eventually(async () => expect(await one.getByText('Who are you?').count()).toBe(1))
    // No other user sees Ann's messages in the same browser.
    await enter('Cleo', tab)
    await eventually(async () => expect(await status(tab)).toBe('connected'))
    expect(await shown(tab)).toEqual([])
    expect(problems).toEqual([])
  })

  it('each control has a name, signed in or not', async () => {
    const unnamed = /^\s*- (?:button|link|textbox|combobox)(?:\s*\[[^\]]*\])*:?\s*$/m
    await eventually(async () => expect(await page.locator('body').ariaSnapshot()).toContain('Sign in as Ann'))
    expect(await page.locator('body').ariaSnapshot()).not.toMatch(unnamed)
    await enter('Ann')
    for (const way of ['a cookie', 'a bearer token', 'a ticket']) {
      await page.getByLabel('Signed in by').selectOption(way)
      await eventually(async () => expect(await status()).toMatch(/^(?:connected|open)$/))
      expect(await page.locator('body').ariaSnapshot()).not.toMatch(unnamed)
    }
    expect(problems).toEqual([])
  })

  it('a native EventSource resumes with a fresh ticket where its own has expired, loses nothing and repeats nothing', async () => {
    const tickets: string[] = []
    page.on('response', async (response) => {
      if (response.url().endsWith('/api/notices/ticket')) tickets.push((await response.json() as { ticket: string }).ticket)
    })
    const bob = await signIn('bob')
    await enter('Ann')
    await eventually(async () => expect(await status()).toBe('connected'))
    await page.getByLabel('Signed in by').selectOption('a ticket')
    await eventually(async () => expect(await status()).toBe('open'))
    await send(bob, 'ann', 'native one')
    await eventually(async () => expect((await shown())[0]).toBe('native one'))
    await eventually(async () => expect((await api(`/api/notices/plain?transport=poll&waitMs=0&ticket=${tickets[0]}`)).status).toBe(401))
    // Chromium reconnects with the expired ticket: 401, and it gives up. The message is sent when the connection is cut, not before.
    await Promise.all([page.waitForResponse(/\/api\/dev\/cut$/), page.getByRole('button', { name: 'Cut the connection' }).click()])
    await send(bob, 'ann', 'native two')
    await eventually(async () => expect(await shown()).toEqual(['native two', 'native one']))
    await eventually(async () => expect(Number(await page.getByTestId('tickets').innerText())).toBeGreaterThan(1))
    expect(problems).toEqual([])
  })

  it('a native EventSource reconnects by itself while its ticket lasts, and one without a valid ticket gives up', async () => {
    await start(LONG)
    await page.goto(`${server.url}/notifications`)
    await enter('Ann')
    let streams = 0
    page.on('request', request => void (request.url().includes('/api/notices/plain') && streams++))
    await page.getByLabel('Signed in by').selectOption('a ticket')
    await eventually(async () => expect(await status()).toBe('open'))
    await page.getByRole('button', { name: 'Cut the connection' }).click()
    await eventually(() => expect(streams).toBeGreaterThan(1))
    await eventually(async () => expect(await status()).toBe('open'))
    expect(await page.getByTestId('tickets').innerText()).toBe('1')
    const given = await page.evaluate(() => new Promise((resolve) => {
      const source = new EventSource('/api/notices/plain?ticket=eyJ.eyJ.AAAA')
      source.onmessage = ({ data }) => resolve(data)
      source.onerror = () => resolve(source.readyState)
    }))
    expect(given).toBe(2)
  })
})
