import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { generateTokens } from '../../playground/server/utils/language-model'
import type { Balancer } from '../support/balancer'
import { startBalancer } from '../support/balancer'
import { NETWORK_ERROR, useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import type { TestTopology } from '../support/redis'
import { startSingle } from '../support/redis'
import { eventually, LOADED_MS } from '../support/conditions'
import { recordStatuses } from '../support/playground'

/** Outlives all stalls of a loaded machine. Tests whose writer is killed wait for the short one. */
const LEASE_MS = 60_000
const SHORT_LEASE_MS = 5_000
const QUESTION = 'How are slow readers handled, and what happens when my network goes away?'
const TOKENS = generateTokens(QUESTION)

let redis: TestTopology
let servers: [writer: BuiltServer, other: BuiltServer]
let balancer: Balancer
/** The instance that serves the next stream, as long as it lives. */
let viewed: BuiltServer

beforeAll(async () => {
  redis = await startSingle()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  await startServers(LEASE_MS)
  balancer = await startBalancer(({ url, method }) => {
    const first = url!.includes('/stream') || method === 'DELETE' ? viewed : servers[0]
    return [first, ...servers.filter(server => server !== first)]
  })
})
afterEach(async () => {
  await balancer.close()
  await stopBuiltServers()
})
async function startServers(leaseMs: number, answerMs = 15_000): Promise<void> {
  await stopBuiltServers()
  const run = () => startBuiltServer('playground', { env: { ...redis.env, NUXT_SSE_LEASE_MS: String(leaseMs), NUXT_ANSWER_MS: String(answerMs) } })
  servers = await Promise.all([run(), run()])
  viewed = servers[1]
}

const { open: openPage, problems } = useBrowser({ known: NETWORK_ERROR })

interface Tab {
  page: Page
  /** Each status that the page has shown, in turn. */
  statuses: () => Promise<string[]>
  /** The process that answered each request, and its URL. */
  answered: { what: string, instance: number }[]
}

async function open(path: string): Promise<Tab> {
  const page = await openPage()
  const answered: Tab['answered'] = []
  page.on('response', (response) => {
    const { pathname } = new URL(response.url())
    if (pathname.startsWith('/api/')) answered.push({ what: `${response.request().method()} ${pathname.replaceAll(/[\da-f-]{36}/g, ':id')}`, instance: Number(response.headers()['x-instance']) })
  })
  await page.goto(balancer.url + path)
  return { page, answered, statuses: await recordStatuses(page) }
}

async function ask(tab: Tab): Promise<void> {
  await tab.page.getByLabel('Your question').fill(QUESTION)
  await tab.page.getByRole('button', { name: 'Ask' }).click()
}

/** As a page shows it: code without its marks, and white space as one. */
const asShown = (text: string) => text.replaceAll('`', '').replaceAll(/\s+/g, ' ').trim()
const answerOf = async ({ page }: Tab) => asShown(await page.getByTestId('answer').innerText())
const instancesOf = ({ answered }: Tab, what: string) => answered.filter(one => one.what === what).map(({ instance }) => instance)
const number = async ({ page }: Tab, name: string) => Number(await page.getByTestId(name).innerText())
const reads = (tab: Tab, characters: number) => eventually(async () => expect((await answerOf(tab)).length).toBeGreaterThan(characters))
const complete = (tab: Tab) => eventually(async () => expect(await tab.page.getByText(`${TOKENS.length} tokens in`).count()).toBe(1), 60_000)
/** An instance's own report of its work. */
async function gauges({ url }: BuiltServer): Promise<{ producers: number, connections: number }> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const gauge = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)![1])
  return { producers: gauge('sse_producers'), connections: gauge('sse_connections') }
}

const STREAM = 'GET /api/answers/:id/stream'

describe('the playground\'s chat, on two instances and one Redis', () => {
  it('kill -9 of the instance that serves the viewer, and not of the writer\'s: the whole answer, no token twice, and the truth in between', async () => {
    const tab = await open('/chat')
    await ask(tab)
    await reads(tab, 40)
    const [writer, viewers] = servers
    expect(instancesOf(tab, 'POST /api/chats')).toEqual([writer.pid])
    expect(instancesOf(tab, STREAM)).toEqual([viewers.pid])
    expect(await gauges(writer)).toEqual({ producers: 1, connections: 0 })
    expect(await gauges(viewers)).toEqual({ producers: 0, connections: 1 })
    await viewers.stop('SIGKILL')
    // In the middle of the answer, or it would prove nothing.
    expect(await gauges(writer)).toEqual({ producers: 1, connections: expect.any(Number) })
    await complete(tab)
    expect(await answerOf(tab)).toBe(asShown(TOKENS.join('')))
    // Each token, and its duration.
    expect([await number(tab, 'received'), await number(tab, 'missing')]).toEqual([TOKENS.length + 1, 0])
    expect(instancesOf(tab, STREAM)).toEqual([viewers.pid, writer.pid])
    await eventually(async () => expect(await tab.statuses()).toEqual(['connecting', 'connected', 'reconnecting', 'connected', 'closed']))
    expect(await tab.page.getByText(/back after .* resumed behind/).count()).toBe(1)
    expect(problems).toEqual([])
  })

  it('reloaded onto the other instance, and opened in a second tab there: both get all of it, from one writer', async () => {
    await startServers(LEASE_MS, 20_000)
    const tab = await open('/chat')
    await ask(tab)
    await reads(tab, 40)
    const [writer, other] = servers
    viewed = writer
    await tab.page.reload()
    await eventually(async () => expect(instancesOf(tab, STREAM)).toEqual([other.pid, writer.pid]))
    viewed = other
    const second = await open(new URL(tab.page.url()).pathname + new URL(tab.page.url()).search)
    await eventually(async () => expect(instancesOf(second, STREAM)).toEqual([other.pid]))
    expect((await gauges(writer)).producers + (await gauges(other)).producers).toBe(1)
    for (const one of [tab, second]) {
      await complete(one)
      expect(await answerOf(one)).toBe(asShown(TOKENS.join('')))
      expect([await number(one, 'received'), await number(one, 'missing')]).toEqual([TOKENS.length + 1, 0])
    }
    expect(problems).toEqual([])
  }, 120_000)

  it('stopped on the instance that does not write it: the text so far stays, in every tab, and is marked as cut short', async () => {
    await startServers(LEASE_MS, 60_000)
    const tab = await open('/chat')
    await ask(tab)
    await reads(tab, 40)
    const [writer] = servers
    viewed = writer
    const second = await open(new URL(tab.page.url()).pathname + new URL(tab.page.url()).search)
    await reads(second, 40)
    viewed = servers[1]
    await second.page.getByRole('button', { name: 'Stop' }).click()
    for (const one of [tab, second]) await eventually(async () => expect(await one.page.getByText('Stopped', { exact: true }).count()).toBe(1))
    await eventually(() => expect(instancesOf(second, 'DELETE /api/answers/:id')).toEqual([servers[1].pid]))
    await eventually(async () => expect(await gauges(writer)).toMatchObject({ producers: 0 }))
    const answer = await answerOf(tab)
    expect(asShown(TOKENS.join(''))).toContain(answer)
    expect(answer.length).toBeLessThan(asShown(TOKENS.join('')).length)
    expect(await answerOf(second)).toBe(answer)
    await second.page.reload()
    await eventually(async () => expect(await second.page.getByText('Stopped', { exact: true }).count()).toBe(1))
    expect(await answerOf(second)).toBe(answer)
    expect(problems).toEqual([])
  }, 120_000)

  it('kill -9 of the writer\'s: the page reports it within two lease times, and keeps its text', async () => {
    await startServers(SHORT_LEASE_MS)
    const tab = await open('/chat')
    await ask(tab)
    await reads(tab, 40)
    const killedAt = performance.now()
    await servers[0].stop('SIGKILL')
    await eventually(async () => expect(await tab.page.getByText('The server that wrote it has gone', { exact: true }).count()).toBe(1))
    expect(performance.now() - killedAt).toBeLessThan(2 * SHORT_LEASE_MS + LOADED_MS)
    const answer = await answerOf(tab)
    expect(asShown(TOKENS.join(''))).toContain(answer)
    await tab.page.getByRole('button', { name: 'Ask again' }).click()
    await complete(tab)
    expect(problems).toEqual([])
  })
})

it('the playground\'s job: kill -9 of the instance that runs it, and its page reports it', async () => {
  await startServers(SHORT_LEASE_MS)
  const tab = await open('/job')
  await tab.page.getByRole('button', { name: 'Start a job' }).click()
  await eventually(async () => expect(Number.parseFloat(await tab.page.getByTestId('percent').innerText())).toBeGreaterThan(1))
  expect(instancesOf(tab, 'GET /api/jobs/:id/stream')).toEqual([servers[1].pid])
  await servers[0].stop('SIGKILL')
  await eventually(async () => expect(await tab.page.getByRole('alert').innerText()).toContain('stopped before the stream was complete'))
  expect(problems).toEqual([])
})
