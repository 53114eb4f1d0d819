import process from 'node:process'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NETWORK_ERROR, useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'
import { SECRETS, VIEWPORT, statusOf, tallyOf } from '../support/playground'
import { startRedis, stopRedis } from '../support/redis'

/** Features of the playground's pages, on Redis: a worker is another process. */

const browser = useBrowser({ known: NETWORK_ERROR, viewport: VIEWPORT })
const { problems } = browser
let server: BuiltServer

beforeAll(async () => {
  server = await startBuiltServer('playground', { env: { ...SECRETS, NUXT_SSE_REDIS_URL: (await startRedis()).url } })
})
afterAll(async () => {
  await stopBuiltServers()
  await stopRedis()
})

async function open(path: string, context?: BrowserContext): Promise<Page> {
  const page = await browser.open(context)
  await page.goto(server.url + path)
  return page
}

const connected = (page: Page) => eventually(async () => expect(await statusOf(page)).toBe('connected'))
const people = (page: Page) => page.getByTestId('people').innerText()
/** Open connections, as the server counts them. */
const connections = async () => Number(/^sse_connections (\d+)$/m.exec(await (await fetch(`${server.url}/metrics`)).text())![1])

async function signIn(name: string): Promise<Page> {
  const page = await open('/notifications')
  await page.getByRole('button', { name: `Sign in as ${name}` }).click()
  await connected(page)
  return page
}

it('notices, a job and presence share one connection, and the panel lists its channels', async () => {
  const [ann, bob] = await Promise.all([signIn('Ann'), signIn('Bob')])
  await eventually(async () => expect(await people(ann)).toBe('2 people here'))
  await ann.getByRole('button', { name: 'Start a job on this connection' }).click()
  await eventually(async () => expect(Number.parseFloat(await ann.getByTestId('percent').innerText())).toBeGreaterThan(2))
  await bob.getByRole('textbox', { name: 'Message' }).fill('While it runs')
  await bob.getByRole('button', { name: 'Send' }).click()
  await eventually(async () => expect(await ann.getByTestId('notice').allInnerTexts()).toEqual(['While it runs']))
  await ann.getByRole('button', { name: 'Cut the connection' }).click()
  await eventually(async () => expect(await ann.getByText(/resumed behind/).count()).toBeGreaterThan(0))
  const { received } = await tallyOf(ann)
  await eventually(async () => expect((await tallyOf(ann)).received).toBeGreaterThan(received))
  expect(await tallyOf(ann)).toMatchObject({ missing: 0, doubled: 0 })
  const rows = await ann.getByTestId('channels').locator('tbody tr').allInnerTexts()
  expect(rows.map(row => row.split(/\s+/).slice(0, 3))).toEqual([
    ['notices', '1', '1'],
    ['here', expect.any(String), expect.any(String)],
    ['job', expect.any(String), expect.any(String)],
  ])
  // One for each user.
  await eventually(async () => expect(await connections()).toBe(2))
  expect(problems).toEqual([])
})

it('a user who signs out everywhere is out in other browsers, and other users stay', async () => {
  const [one, other, bob] = await Promise.all([signIn('Ann'), signIn('Ann'), signIn('Bob')])
  await other.getByLabel('Signed in by').selectOption('a ticket')
  await eventually(async () => expect(await statusOf(other)).toBe('open'))
  await one.getByRole('button', { name: 'Sign out everywhere' }).click()
  for (const page of [one, other]) await page.getByText('Who are you?').waitFor()
  expect(await statusOf(bob)).toBe('connected')
  expect(problems).toEqual([])
})

it('two users write to each other side by side, and one of them is signed out everywhere', async () => {
  const page = await open('/notifications/two-users')
  const pane = (name: string) => page.getByRole('region', { name, exact: true })
  const state = (name: string) => pane(name).getByTestId('state').innerText()
  await eventually(async () => expect([await state('Ann'), await state('Bob'), await people(page)]).toEqual(['connected', 'connected', '2 people here']))
  await eventually(async () => expect(await connections()).toBe(2))
  for (const [from, to] of [['Ann', 'Bob'], ['Bob', 'Ann']] as const) {
    await page.getByLabel(`Message from ${from} to ${to}`).fill(`From ${from}`)
    await pane(from).getByRole('button', { name: 'Send' }).click()
    await eventually(async () => expect(await pane(to).getByTestId('notice').allInnerTexts()).toContain(`From ${from}`))
  }
  await page.getByRole('button', { name: 'Sign out Bob everywhere' }).click()
  await eventually(async () => expect([await state('Ann'), await state('Bob')]).toEqual(['connected', 'signed out']))
  await page.getByRole('button', { name: 'Sign in as Bob' }).click()
  await eventually(async () => expect(await state('Bob')).toBe('connected'))
  expect(problems).toEqual([])
})

it('the feed lists its visitors, and a visitor who leaves is gone', async () => {
  const [one, other] = await Promise.all([open('/feed'), open('/feed')])
  for (const page of [one, other]) await eventually(async () => expect(await people(page)).toBe('2 people here'))
  await other.close()
  await eventually(async () => expect(await people(one)).toBe('1 person here'))
  expect(problems).toEqual([])
})

it('posts are lost on request, and the page reports how many', async () => {
  const page = await open('/feed')
  await connected(page)
  await page.getByLabel('News').fill('Before')
  await page.getByRole('button', { name: 'Publish' }).click()
  await page.getByText('Before', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Lose 3 posts' }).click()
  await eventually(async () => expect(await page.getByTestId('missed').innerText()).toContain('3 older posts were missed'))
  await eventually(async () => expect(await page.locator('.entries .text').allInnerTexts()).toEqual([...Array.from({ length: 8 }, (_, index) => `Post ${11 - index} of 11.`), 'Before']))
  expect(await page.getByTestId('gap').innerText()).toBe('trimmed, 3 missed')
  expect(problems).toEqual([])
})

it('all tabs of a browser follow one connection, which the page counts', async () => {
  const first = await open('/feed')
  const second = await open('/feed', first.context())
  for (const page of [first, second]) await connected(page)
  // As a tab does that was opened in the same moment.
  await second.evaluate(() => localStorage.setItem('sse-browser', 'of both'))
  for (const page of [first, second]) {
    await page.getByRole('radio', { name: 'All tabs' }).check()
    expect(await page.getByRole('radio', { name: 'Delay' }).isDisabled()).toBe(true)
  }
  for (const page of [first, second]) await eventually(async () => expect(await page.getByTestId('tabs').innerText()).toMatch(/^2 tabs follow one connection/))
  await eventually(async () => expect(await connections()).toBe(1))
  await first.getByLabel('News').fill('To both')
  await first.getByRole('button', { name: 'Publish' }).click()
  for (const page of [first, second]) await page.getByText('To both', { exact: true }).waitFor()
  await second.close()
  await eventually(async () => expect(await first.getByTestId('tabs').innerText()).toMatch(/^1 tab follows one connection/))
  expect(problems).toEqual([])
})

it('a job runs in a worker process, and the page reports that the worker was killed', async () => {
  const page = await open('/job')
  await page.getByRole('button', { name: 'Start in a worker' }).click()
  // The start of a process takes long on a loaded machine.
  await eventually(async () => expect(Number.parseFloat(await page.getByTestId('percent').innerText())).toBeGreaterThan(1), 60_000)
  const [, pid] = /runs in worker process (\d+)/.exec(await page.locator('.log').innerText())!
  expect(Number(pid)).not.toBe(server.pid)
  process.kill(Number(pid), 'SIGKILL')
  await eventually(async () => expect(await page.getByRole('alert').innerText()).toBe('The worker stopped before the job was complete.'))
  expect(problems).toEqual([])
}, 120_000)
