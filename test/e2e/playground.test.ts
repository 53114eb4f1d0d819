import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { startBalancer } from '../support/balancer'
import { NETWORK_ERROR, useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import type { CompletionsApi } from '../support/completions-api'
import { startCompletionsApi } from '../support/completions-api'
import { eventually } from '../support/conditions'
import { FAST_ANSWERS, VIEWPORT, statusOf } from '../support/playground'

const { open, problems } = useBrowser({ known: NETWORK_ERROR, viewport: VIEWPORT })
let server: BuiltServer
let page: Page

beforeAll(async () => {
  server = await startBuiltServer('playground', { env: FAST_ANSWERS })
})
afterAll(stopBuiltServers)

beforeEach(async () => {
  page = await open()
})

const status = (of = page) => statusOf(of)

describe('the chat', () => {
  it('is answered token by token', async () => {
    await page.goto(`${server.url}/chat`)
    await page.getByLabel('Your question').fill('How are slow readers handled?')
    await page.getByRole('button', { name: 'Ask' }).click()
    const answer = page.getByTestId('answer')
    await answer.waitFor()
    await answer.evaluate((element) => {
      const lengths = (globalThis as unknown as { lengths: Set<number> }).lengths = new Set<number>()
      new MutationObserver(() => lengths.add(element.textContent!.length)).observe(element, { subtree: true, childList: true, characterData: true })
    })
    // The duration is an option: 10 s for a visitor.
    await eventually(async () => expect(await page.getByText(/\d+ tokens in \d+\.\d s/).count()).toBe(1))
    expect(Number(/tokens in ([\d.]+) s/.exec(await page.locator('main').innerText())![1])).toBeGreaterThanOrEqual(5)
    expect(await page.evaluate(() => (globalThis as unknown as { lengths: Set<number> }).lengths.size)).toBeGreaterThan(8)
    expect(await answer.innerText()).toContain('Back pressure is what keeps a fast source from drowning a slow reader.')
    await eventually(async () => expect(await status()).toBe('closed'))
    expect(problems).toEqual([])
  })

  it('continues when it is cut off, reloaded, and opened a second time', async () => {
    const slow = await startBuiltServer('playground', { env: { NUXT_ANSWER_MS: '15000' } })
    await page.goto(`${slow.url}/chat`)
    await page.getByRole('button', { name: 'What are server-sent events?' }).click()
    const lengthOf = async (of: Page) => (await of.getByTestId('answer').innerText()).length
    await eventually(async () => expect(await lengthOf(page)).toBeGreaterThan(20))
    await page.getByRole('button', { name: 'Cut the connection' }).click()
    // On a slow machine, the answer may be complete by then.
    await eventually(async () => expect(await status()).toMatch(/^(?:connected|closed)$/))
    await page.reload()
    const second = await open()
    await second.goto(page.url())
    await eventually(async () => expect(Math.min(await lengthOf(page), await lengthOf(second))).toBeGreaterThan(40))
    for (const one of [page, second]) await eventually(async () => expect(await one.getByText(/\d+ tokens in/).count()).toBe(1), 40_000)
    expect(await page.getByTestId('answer').innerText()).toBe(await second.getByTestId('answer').innerText())
    // All of it, also for a page that opens when it is over.
    await page.reload()
    await eventually(async () => expect(await page.getByText(/\d+ tokens in/).count()).toBe(1))
    expect(await page.getByTestId('answer').innerText()).toBe(await second.getByTestId('answer').innerText())
    expect(problems).toEqual([])
  })

  it('stops for all its viewers when any of them stops it, and can be requested again', async () => {
    const slow = await startBuiltServer('playground', { env: { NUXT_ANSWER_MS: '60000' } })
    await page.goto(`${slow.url}/chat`)
    await page.getByRole('button', { name: 'How are slow readers handled?' }).click()
    await eventually(async () => expect((await page.getByTestId('answer').innerText()).length).toBeGreaterThan(20))
    const second = await open()
    await second.goto(page.url())
    await second.getByRole('button', { name: 'Stop' }).click()
    for (const one of [page, second]) await eventually(async () => expect(await one.getByText('Stopped', { exact: true }).count()).toBe(1))
    await page.getByRole('button', { name: 'Ask again' }).click()
    await eventually(async () => expect((await page.getByTestId('answer').nth(1).innerText()).length).toBeGreaterThan(20))
    expect(await page.getByTestId('answer').count()).toBe(2)
    expect(problems).toEqual([])
  })
})

describe('the chat, with an OpenAI-compatible API', () => {
  let api: CompletionsApi
  let chat: BuiltServer
  beforeAll(async () => {
    api = await startCompletionsApi()
    chat = await startBuiltServer('playground', { env: { OPENAI_BASE_URL: api.url } })
  })
  afterAll(() => api.close())

  async function ask(question: string): Promise<void> {
    await page.goto(`${chat.url}/chat`, { waitUntil: 'networkidle' })
    await page.getByLabel('Your question').fill(question)
    await page.getByRole('button', { name: 'Ask' }).click()
  }
  const shows = (text: string, of = page) => eventually(async () => expect(await of.getByTestId('answer').innerText()).toContain(text))
  const WORDS = Array.from({ length: 10 }, (_, n) => `word${n + 1}`).join(' ')

  it('shows the answer, and announces it in sentences', async () => {
    await ask('Why?')
    await shows(WORDS)
    await eventually(async () => expect((await page.locator('main .conversation [role=status]').innerText()).trim()).toBe(WORDS))
    expect(await page.locator('[aria-busy=true]').count()).toBe(0)
    expect([api.asked, api.cancelled]).toEqual([1, 0])
    expect(problems).toEqual([])
  })

  it('shows it after a reload and in a second tab, whose stop cancels the request', async () => {
    const before = { ...api }
    await ask('Tell me much.')
    await shows('word3 ')
    await page.reload()
    await shows('word1 word2 word3 ')
    const second = await open()
    await second.goto(page.url())
    await shows('word1 word2 word3 ', second)
    await second.getByRole('button', { name: 'Stop' }).click()
    for (const one of [page, second]) await one.getByText('Stopped', { exact: true }).waitFor()
    await eventually(() => expect([api.asked - before.asked, api.cancelled - before.cancelled]).toEqual([1, 1]))
    expect(problems).toEqual([])
  })

  it.each(['fail', 'cut'])('offers to ask again when the API breaks off: %s', async (how) => {
    const before = api.asked
    await ask(`Please ${how}.`)
    await page.getByRole('button', { name: 'Ask again' }).waitFor()
    expect(await page.locator('main').innerText()).not.toContain('sk-secret')
    await page.getByRole('button', { name: 'Ask again' }).click()
    await eventually(() => expect(api.asked - before).toBe(2))
  })
})

describe('the job', () => {
  it('continues over a cut, a reload and another transport', async () => {
    await page.goto(`${server.url}/job`)
    await page.getByRole('button', { name: 'Start a job' }).click()
    const percent = async () => Number.parseFloat(await page.getByTestId('percent').innerText())
    await eventually(async () => expect(await percent()).toBeGreaterThan(3))

    const positionBefore = await page.getByTestId('position').innerText()
    await page.getByRole('button', { name: 'Cut the connection' }).click()
    await eventually(async () => expect(await page.getByText(/resumed behind/).count()).toBeGreaterThan(0))
    await eventually(async () => expect(await percent()).toBeGreaterThan(8))
    expect((await page.getByTestId('position').innerText()).split('.')[0]).toBe(positionBefore.split('.')[0])

    await page.reload()
    await eventually(async () => expect(await percent()).toBeGreaterThan(8))
    await page.getByRole('radio', { name: 'Poll only' }).check()
    await eventually(async () => expect(await page.getByTestId('transport').innerText()).toBe('poll'))
    const polled = await percent()
    await eventually(async () => expect(await percent()).toBeGreaterThan(polled))
    await page.getByRole('radio', { name: 'Stream first' }).check()

    await vi.waitFor(async () => expect(await page.getByTestId('result').innerText()).toMatch(/\d+ pages and [\d,]+ words/), { timeout: 60_000 })
    expect(await percent()).toBe(100)
    await eventually(async () => expect(await status()).toBe('closed'))
    expect(problems).toEqual([])
  }, 90_000)

  it('cannot run in a worker without Redis, and the button gives the reason', async () => {
    await page.goto(`${server.url}/job`)
    const button = page.getByRole('button', { name: 'Start in a worker' })
    expect(await button.isDisabled()).toBe(true)
    const reason = await button.getAttribute('aria-describedby')
    expect(await page.locator(`#${reason}`).innerText()).toContain('A worker needs Redis')
    const refused = await fetch(`${server.url}/api/jobs`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"worker":true}' })
    expect(refused.status).toBe(422)
    expect(problems).toEqual([])
  })

  it('reports a job that does not exist', async () => {
    await page.goto(`${server.url}/job?id=gone`)
    await eventually(async () => expect(await page.getByRole('alert').innerText()).toContain('There is no such job here.'))
  })
})

describe('the feed', () => {
  it('is seen in every tab, also after a cut, and once', async () => {
    const other = await open()
    await Promise.all([page, other].map(one => one.goto(`${server.url}/feed`)))
    await eventually(async () => expect([await status(page), await status(other)]).toEqual(['connected', 'connected']))
    await page.getByLabel('Your name').fill('Ada')
    for (const text of ['First news', 'Second news', 'Third news']) {
      await page.getByLabel('News').fill(text)
      await page.getByRole('button', { name: 'Publish' }).click()
      await eventually(async () => expect(await page.getByText(text, { exact: true }).count()).toBe(1))
      await other.getByRole('button', { name: 'Cut the connection' }).click().catch(() => {})
    }
    await eventually(async () => expect(await other.locator('.entries .text').allInnerTexts()).toEqual(['Third news', 'Second news', 'First news']))
    expect(problems).toEqual([])
  })

  it('has a message once, although the browser sends its POST again because the answer was lost', async () => {
    let posts = 0
    const front = await startBalancer(() => [server], ({ method }) => method === 'POST' && ++posts === 1)
    await page.goto(`${front.url}/feed`)
    await eventually(async () => expect(await status()).toBe('connected'))
    for (const text of ['Sent twice', 'Sent once']) {
      await page.getByLabel('News').fill(text)
      await page.getByRole('button', { name: 'Publish' }).click()
      await eventually(async () => expect(await page.getByText(text, { exact: true }).count()).toBeGreaterThan(0))
    }
    expect(posts).toBe(3)
    expect(await page.locator('.entries .text').allInnerTexts()).toEqual(['Sent once', 'Sent twice'])
    expect(problems).toEqual([])
    await front.close()
  })

  it('continues without a reload when the server is killed and started again', async () => {
    await page.goto(`${server.url}/feed`)
    await eventually(async () => expect(await status()).toBe('connected'))
    await server.stop('SIGKILL')
    await eventually(async () => expect(await status()).toContain('reconnecting'))
    server = await startBuiltServer('playground', { port: server.port })
    await eventually(async () => expect(await status()).toBe('connected'))
    await page.getByLabel('News').fill('Back again')
    await page.getByRole('button', { name: 'Publish' }).click()
    await eventually(async () => expect(await page.locator('.entries .text').allInnerTexts()).toEqual(['Back again']))
    expect(problems).toEqual([])
  })
})

describe('the live list', () => {
  it('is the same in both panes, also when one was cut apart, and loads again when it has missed too much', async () => {
    await page.goto(`${server.url}/live-list`)
    const pane = (name: string) => page.getByRole('region', { name })
    const items = (name: string) => pane(name).getByTestId('item').allTextContents()
    const state = (name: string) => pane(name).getByTestId('state').innerText()
    const add = async (name: string, text: string) => {
      await page.getByLabel(`New item, ${name}`).fill(text)
      await pane(name).getByRole('button', { name: 'Add' }).click()
      await eventually(async () => expect(await items(name)).toContain(text))
    }
    const same = () => eventually(async () => {
      expect(await Promise.all([state('left'), state('right')])).toEqual([expect.stringMatching(/^connected/), expect.stringMatching(/^connected/)])
      expect(await items('right')).toEqual(await items('left'))
    })
    await same()
    await add('left', 'one')
    await same()

    await page.getByLabel('Cut the right network').click()
    await eventually(async () => expect(await state('right')).toMatch(/^reconnecting/))
    await add('left', 'two')
    expect(await items('right')).not.toContain('two')
    await page.getByLabel('Restore the right network').click()
    await same()
    await eventually(async () => expect(await state('right')).toBe('connected'))

    await page.getByLabel('Cut the right network').click()
    await eventually(async () => expect(await state('right')).toMatch(/^reconnecting/))
    for (let n = 3; n < 10; n++) await add('left', `item ${n}`)
    await page.getByLabel('Restore the right network').click()
    await same()
    await eventually(async () => expect(await state('right')).toBe('connected, loaded again (trimmed)'))
    await page.getByLabel('Delete two, right').click()
    await eventually(async () => expect(await items('left')).not.toContain('two'))
    await same()
    expect(problems).toEqual([])
  })
})
