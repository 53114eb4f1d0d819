import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import process from 'node:process'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { useBrowser } from '../support/browser'
import { freePort } from '../support/built-server'
import { eventually } from '../support/conditions'
import { choose, statusOf, tallyOf } from '../support/playground'
import { projects } from '../support/projects'

const { open } = useBrowser()
let cluster: ChildProcess
let url: string
let output = ''

beforeAll(async () => {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  // The servers that `npm run dev:cluster` runs after its build.
  cluster = spawn(process.execPath, [join(projects.playground, 'cluster.mjs')], { env: { ...process.env, PORT: String(port), NODE_ENV: 'production', NUXT_SSE_LEASE_MS: '2000' }, stdio: ['ignore', 'pipe', 'pipe'] })
  cluster.stdout!.on('data', chunk => output += chunk)
  cluster.stderr!.on('data', chunk => output += chunk)
  await eventually(() => expect(output).toContain('Listening on'))
})
afterAll(async () => {
  const exited = once(cluster, 'exit')
  cluster.kill('SIGTERM')
  await exited
})

const instances = () => [...output.matchAll(/Instance \d+ runs as process (\d+)/g)].map(match => Number(match[1]))
const texts = (page: Page) => page.locator('.entries .text').allInnerTexts()

// @guarantee stored
it('the playground on two instances behind one port: whichever is killed, every tab has every message once', async () => {
  const pages = await Promise.all(Array.from({ length: 4 }, () => open()))
  await Promise.all(pages.map(page => page.goto(`${url}/feed`)))
  const [writer] = pages as [Page]
  for (const page of pages) await eventually(async () => expect(await page.getByRole('complementary').getByRole('status').innerText()).toBe('connected'))
  const published: string[] = []
  const publish = async (text: string) => {
    published.unshift(text)
    await writer.getByLabel('News').fill(text)
    await vi.waitFor(async () => {
      await writer.getByRole('button', { name: 'Publish' }).click()
      await eventually(async () => expect(await texts(writer)).toContain(text))
    }, { timeout: 20_000 })
  }
  await publish('Before')
  // One after the other, the first is up again when the second stops.
  for (const [index, pid] of instances().entries()) {
    process.kill(pid, 'SIGKILL')
    await eventually(() => expect(instances().length).toBeGreaterThanOrEqual(3 + index))
    await publish(`After ${index + 1}`)
  }
  for (const page of pages) await eventually(async () => expect(await texts(page)).toEqual(published))
  if (process.env.SSE_SHOTS) await writer.screenshot({ path: join(process.env.SSE_SHOTS, 'cluster.png') })
})

it('a visitor kills the instance that serves the page, on whichever instance the request arrives, and misses nothing', async () => {
  const page = await open()
  await page.goto(`${url}/dashboard`)
  await eventually(async () => expect((await tallyOf(page)).received).toBeGreaterThanOrEqual(20))
  const before = await tallyOf(page)
  const serving = Number(await page.getByTestId('instance').innerText())
  const started = instances()
  expect(started).toContain(serving)
  await page.getByRole('button', { name: 'Kill this instance' }).click()
  await eventually(() => expect(instances().length).toBeGreaterThan(started.length))
  await eventually(async () => expect(Number(await page.getByTestId('instance').innerText())).not.toBe(serving))
  await eventually(async () => expect((await tallyOf(page)).received).toBeGreaterThanOrEqual(before.received + 50))
  expect(await tallyOf(page)).toMatchObject({ missing: 0, doubled: 0, epoch: before.epoch })
})

it('a tab is cut and stopped on whichever instance it is, and the dashboard has each message of the instance that fills it', async () => {
  const page = await open()
  await page.goto(`${url}/dashboard`)
  const receives = (least: number) => eventually(async () => expect((await tallyOf(page)).received).toBeGreaterThanOrEqual(least))
  await receives(20)
  const before = await tallyOf(page)
  // Each reconnect may reach the other instance, and so may the request that cuts.
  for (let cuts = 1; cuts <= 4; cuts++) {
    await page.getByRole('button', { name: 'Cut the connection' }).click()
    await eventually(async () => expect(await page.getByText(/resumed behind/).count()).toBeGreaterThanOrEqual(cuts))
  }
  await choose(page, 'Stop')
  await eventually(async () => expect(await page.getByTestId('error').innerText()).toBe('HTTP_ERROR 503'))
  await choose(page, 'Normal')
  await eventually(async () => expect(await statusOf(page)).toBe('connected'))
  await receives((await tallyOf(page)).received + 50)
  const now = await tallyOf(page)
  expect(now).toMatchObject({ missing: 0, doubled: 0, epoch: before.epoch })
  expect(now.received - before.received).toBe(now.offset - before.offset)
})
