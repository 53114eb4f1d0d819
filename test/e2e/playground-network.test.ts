import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { NETWORK_ERROR, collectProblems, useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'
import { VIEWPORT, choose, statusOf, tallyOf, transportOf } from '../support/playground'

/** Each network that the panel offers acts as described, and nothing is lost or doubled by it: on a channel of fifty messages a second. */

const browser = useBrowser({ known: NETWORK_ERROR, viewport: VIEWPORT })
const { problems } = browser
let server: BuiltServer
let page: Page

beforeAll(async () => {
  server = await startBuiltServer('playground')
})
afterAll(stopBuiltServers)

beforeEach(async () => {
  page = await browser.open()
  await page.goto(`${server.url}/dashboard`)
  await receives(20)
})

/** Waits for that many further messages. */
async function receives(more: number, of = page): Promise<void> {
  const { received } = await tallyOf(of)
  await eventually(async () => expect((await tallyOf(of)).received).toBeGreaterThanOrEqual(received + more))
}

/** Each message since `before`, once: as many as offsets have passed. */
async function hasAllSince(before: Awaited<ReturnType<typeof tallyOf>>, of = page): Promise<void> {
  const now = await tallyOf(of)
  expect(now).toMatchObject({ missing: 0, doubled: 0, epoch: before.epoch })
  expect(now.received - before.received).toBe(now.offset - before.offset)
}

const timeline = () => page.locator('aside li').allInnerTexts().then(texts => texts.map(text => text.replace(/\s+/g, ' ')))
const tile = async (name: string) => Number.parseFloat((await page.locator('.tiles .card', { hasText: name }).locator('dd').innerText()).replace(',', ''))

it('cut: the connection is lost, and resumes right after the last message', async () => {
  const before = await tallyOf(page)
  await page.getByRole('button', { name: 'Cut the connection' }).click()
  await eventually(async () => expect(await page.getByText(/resumed behind/).count()).toBeGreaterThan(0))
  await receives(20)
  await hasAllSince(before)
  const said = (await timeline()).toReversed().join('\n')
  // In this order: the visitor's action, the client's requests, and the server's answers.
  expect(said).toMatch(/you cut the connection #\d+\n.*client lost \(NETWORK\), trying again #(\d+)\n.*client asks for the stream, behind #\1\n.*server open resumed, heartbeat 2 s, retry [\d.]+ s #\1\n.*client back after [\d.]+ s, resumed behind #\1/)
  expect(problems).toEqual([])
})

it('delay: every byte comes late, and the connection holds', async () => {
  const before = await tallyOf(page)
  await choose(page, 'Delay')
  await eventually(async () => expect(await tile('Age on arrival')).toBeGreaterThanOrEqual(1_500))
  expect(await statusOf(page)).toBe('connected')
  await choose(page, 'Normal')
  await eventually(async () => expect(await tile('Age on arrival')).toBeLessThan(1_000))
  await receives(20)
  await hasAllSince(before)
  expect((await timeline()).filter(text => text.includes('asks for'))).toHaveLength(1)
  expect(problems).toEqual([])
})

it('buffer: the stream falls silent, the client polls, and returns to the stream on a normal network', async () => {
  const before = await tallyOf(page)
  await choose(page, 'Buffer')
  await eventually(async () => expect(await page.getByTestId('error').innerText()).toBe('SILENCE'))
  await eventually(async () => expect(await transportOf(page)).toBe('poll'), 40_000)
  await receives(50)
  await hasAllSince(before)
  const said = (await timeline()).toReversed().join('\n')
  expect(said).toMatch(/lost \(SILENCE\)[\s\S]*CONNECT_TIMEOUT[\s\S]*hands over to poll[\s\S]*server answers \d+ polls? with [\d,]+ messages #\d+/)

  // As long as this browser session lasts, it is remembered, and so is the network.
  await page.reload()
  await eventually(async () => expect(await statusOf(page)).toBe('connected'))
  expect(await transportOf(page)).toBe('poll')
  expect(await page.getByRole('radio', { name: 'Buffer' }).isChecked()).toBe(true)

  // A browser session without stored data probes the network, and its timeline shows the verdict.
  await page.evaluate(() => sessionStorage.clear())
  await page.evaluate(() => sessionStorage.setItem('sse-network', 'buffer'))
  await page.reload()
  await eventually(async () => expect(await transportOf(page)).toBe('poll'), 40_000)
  expect((await timeline()).toReversed().join('\n')).toMatch(/probes the network[\s\S]*the network holds streams back/)
  await receives(20)
  const polled = await tallyOf(page)
  await choose(page, 'Normal')
  await eventually(async () => expect(await transportOf(page)).toBe('stream'))
  await receives(20)
  await hasAllSince(polled)
  expect(problems).toEqual([])
}, 90_000)

it('stop: open connections are cut, requests get 503, and the page shows the next attempt; another tab does not notice', async () => {
  const other = await (await browser.newContext()).newPage()
  collectProblems(other, problems)
  await other.goto(`${server.url}/dashboard`)
  await receives(20, other)
  const [before, beforeOther] = [await tallyOf(page), await tallyOf(other)]
  await choose(page, 'Stop')
  await eventually(async () => expect(await page.getByTestId('error').innerText()).toBe('HTTP_ERROR 503'))
  await eventually(async () => expect(await statusOf(page)).toMatch(/^reconnecting\s+attempt [2-9]/))
  await eventually(async () => expect(await page.getByTestId('next-try').innerText()).toMatch(/^next try in \d+\.\d s$/))
  const stopped = await tallyOf(page)
  await receives(50, other)
  await hasAllSince(beforeOther, other)
  expect(await statusOf(other)).toBe('connected')
  expect((await tallyOf(page)).received).toBe(stopped.received)
  expect(await timeline()).toContainEqual(expect.stringMatching(/server 503 Stopped by you, in the network panel\.$/))

  await choose(page, 'Normal')
  await eventually(async () => expect(await statusOf(page)).toBe('connected'))
  await receives(20)
  await hasAllSince(before)
  expect(await page.getByTestId('error').count()).toBe(0)
  expect(problems).toEqual([])
})

it('another transport resumes after the last message, chosen with the keyboard, which stays where it is', async () => {
  const before = await tallyOf(page)
  await page.getByRole('radio', { name: 'Stream first' }).focus()
  await page.keyboard.press('ArrowRight')
  await eventually(async () => expect([await transportOf(page), await statusOf(page)]).toEqual(['poll', 'connected']))
  await receives(20)
  await hasAllSince(before)
  expect(await page.evaluate(() => (document.activeElement as HTMLInputElement).value)).toBe('Poll only')
  // A pattern, and not only a colour, distinguishes the transports.
  await eventually(async () => expect(await page.locator('[data-transport="poll"] .amount').last().evaluate(bar => getComputedStyle(bar).fill)).toContain('poll-stripes'))
  await page.keyboard.press('ArrowLeft')
  await eventually(async () => expect([await transportOf(page), await statusOf(page)]).toEqual(['stream', 'connected']))
  await receives(20)
  await hasAllSince(before)
  expect(problems).toEqual([])
})

it('a restarted server has lost its log, and the page reports it', async () => {
  await server.stop('SIGKILL')
  await eventually(async () => expect(await statusOf(page)).toMatch(/^reconnecting/))
  server = await startBuiltServer('playground', { port: server.port })
  await eventually(async () => expect(await page.getByTestId('gap').innerText()).toBe('epoch, unknown missed'))
  await receives(20)
  expect(await timeline()).toContainEqual(expect.stringMatching(/server gap epoch: an unknown number missed #\d+$/))
})

describe('the dashboard', () => {
  it('receives fifty messages a second, drops none, and leaves its thread free', async () => {
    await eventually(async () => expect(await page.getByTestId('rate').innerText()).toMatch(/^(?:4[5-9]|5[0-5])$/))
    const session = await page.context().newCDPSession(page)
    await session.send('Performance.enable', { timeDomain: 'threadTicks' })
    const look = async () => {
      const { metrics } = await session.send('Performance.getMetrics')
      return { ...await tallyOf(page), at: performance.now(), busyMs: 1_000 * metrics.find(({ name }) => name === 'TaskDuration')!.value }
    }
    const before = await look()
    await receives(400)
    const after = await look()
    await hasAllSince(before)
    // CPU time, and not elapsed time: other work on the machine is not the page's.
    expect((after.busyMs - before.busyMs) / (after.at - before.at)).toBeLessThan(0.5)
    expect(problems).toEqual([])
  })

  it('has its figures as a table, and charts that stand still on request', async () => {
    await page.getByText('The same as a table').click()
    await eventually(async () => expect((await page.getByRole('row').locator('td:nth-of-type(1)').allInnerTexts()).filter(text => /^(?:4[5-9]|5[0-5])$/.test(text)).length).toBeGreaterThan(1))
    await page.getByRole('button', { name: 'Pause the charts' }).click()
    const frames = () => page.getByTestId('frames').innerText()
    await eventually(async () => expect(await frames()).toBe('0'))
    const before = await tallyOf(page)
    await receives(50)
    await hasAllSince(before)
    expect(await frames()).toBe('0')
    await page.getByRole('button', { name: 'Pause the charts' }).click()
    await eventually(async () => expect(Number(await frames())).toBeGreaterThan(2))
    expect(problems).toEqual([])
  })

  it('draws once a second, and pulses nothing, for users who prefer reduced motion', async () => {
    await page.emulateMedia({ reducedMotion: 'reduce' })
    await choose(page, 'Stop')
    await eventually(async () => expect(await statusOf(page)).toMatch(/^reconnecting/))
    expect(await page.evaluate(() => document.getAnimations().filter(({ effect }) => effect!.getComputedTiming().iterations !== 1).length)).toBe(0)
    await choose(page, 'Normal')
    await eventually(async () => expect(Number(await page.getByTestId('frames').innerText())).toBeLessThanOrEqual(2))
    await receives(100)
    expect(Number(await page.getByTestId('frames').innerText())).toBeLessThanOrEqual(2)
  })
})
