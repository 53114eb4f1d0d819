import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'
import { SECRETS, VIEWPORT } from '../support/playground'
import { projects } from '../support/projects'

/** Checks for every page of the playground: those that its navigation leads to. */

/** Roles of controls and live regions in Chromium's accessibility tree. */
const NAMED = new Set(['button', 'checkbox', 'combobox', 'DisclosureTriangle', 'image', 'img', 'link', 'listbox', 'menuitem', 'progressbar', 'radio', 'searchbox', 'slider', 'spinbutton', 'switch', 'tab', 'textbox'])

const { open, problems } = useBrowser({ viewport: VIEWPORT })
let server: BuiltServer
let page: Page
let paths: string[]

beforeAll(async () => {
  server = await startBuiltServer('playground', { env: SECRETS })
  const html = await (await fetch(server.url)).text()
  paths = ['/', ...new Set([...html.matchAll(/<nav[\s\S]*?<\/nav>/g)].flatMap(([nav]) => [...nav.matchAll(/href="([^"]+)"/g)].map(match => match[1]!)))]
  expect(paths).toEqual(expect.arrayContaining(['/dashboard', '/chat', '/job', '/feed', '/live-list', '/notifications']))
  paths.push('/notifications/two-users')
})
afterAll(stopBuiltServers)
beforeEach(async () => {
  page = await open()
})

async function visit(path: string, of = page): Promise<void> {
  await of.goto(server.url + path, { waitUntil: 'load' })
  // Hydrated: all that exists in the browser only has appeared.
  await of.getByLabel('Colours').waitFor()
  // Pages that need a sign-in are checked, too.
  const signIn = of.getByRole('button', { name: /^Sign in as/ }).first()
  const panel = of.getByRole('complementary')
  if (await signIn.count()) {
    await signIn.click()
    await panel.waitFor()
    // As after a reload, signed in: the focus has not been anywhere yet.
    await of.reload()
    await of.getByLabel('Colours').waitFor()
  }
  await panel.waitFor()
}

/** Shows the page's messages, and any status of the connection other than "about to connect". */
async function settled(): Promise<void> {
  await eventually(async () => expect(await page.locator('.status:is([data-status="connecting"], [data-status="reconnecting"])').count()).toBe(0))
}

it('none logs anything in the console, in either theme', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const path of paths) {
      await visit(path)
      await settled()
      expect(problems, path).toEqual([])
    }
  }
})

it('each has one name, and a connection can be cut only where one is open', async () => {
  await visit('/')
  const cards = page.locator('.pages a')
  const names = (await page.getByRole('navigation').getByRole('link').allInnerTexts()).map(name => name.trim())
  expect(await cards.locator('strong').allInnerTexts()).toEqual(names.map(name => `${name}→`))
  expect(await cards.locator('strong').first().evaluate(element => getComputedStyle(element).textDecorationLine)).toBe('underline')
  for (const name of names) {
    await page.getByRole('navigation').getByRole('link', { name, exact: true }).click()
    await page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
    await settled()
    const cut = page.getByRole('button', { name: 'Cut the connection' })
    // No chat and no job yet, and no sign-in.
    if (name !== 'Notifications') await eventually(async () => expect(await cut.isEnabled(), name).toBe(!['Chat', 'Job'].includes(name)))
  }
  expect(problems).toEqual([])
})

it('each shows its own code: files of this repository, character by character', async () => {
  const source = (file: string) => readFile(join(projects.playground, file), 'utf8')
  const shown = new Set<string>()
  for (const path of paths) {
    await visit(path)
    const tabs = page.locator('.code').getByRole('radio')
    const files = await tabs.evaluateAll(radios => radios.map(radio => (radio as HTMLInputElement).value))
    expect(files.length, path).toBeGreaterThan(2)
    expect(await page.getByTestId('code').textContent(), files[0]).toBe(await source(files[0]!))
    await tabs.last().check()
    await eventually(async () => expect(await page.getByTestId('code').textContent(), files.at(-1)).toBe(await source(files.at(-1)!)))
    for (const file of files) shown.add(file)
  }
  const request = (file: string) => fetch(`${server.url}/api/dev/source?${new URLSearchParams({ file })}`)
  for (const file of shown) expect(await (await request(file)).text(), file).toBe(await source(file))
  const others = await Promise.all(['nuxt.config.ts', '.env', 'server/../nuxt.config.ts', '../package.json'].map(request))
  expect(others.map(({ status }) => status)).toEqual([404, 404, 404, 404])
  expect(problems).toEqual([])
})

it('none has a control without a name in the accessibility tree', async () => {
  const session = await page.context().newCDPSession(page)
  for (const path of paths) {
    await visit(path)
    await settled()
    for (const summary of await page.locator('summary').all()) await summary.click()
    const { nodes } = await session.send('Accessibility.getFullAXTree')
    const controls = nodes.filter(({ ignored, role }) => !ignored && NAMED.has(role?.value as string))
    // The links of the navigation, the theme and the network's choices at the least.
    expect(controls.length, path).toBeGreaterThan(10)
    expect(controls.filter(({ name }) => !String(name?.value ?? '').trim()).map(({ role, backendDOMNodeId }) => [role!.value, backendDOMNodeId]), path).toEqual([])
    const landmarks = nodes.filter(({ ignored }) => !ignored).map(({ role }) => role?.value)
    for (const landmark of ['banner', 'navigation', 'main', 'complementary']) expect(landmarks.filter(role => role === landmark), `${path} ${landmark}`).toHaveLength(1)
  }
})

it('none scrolls sideways on a phone of 360 pixels', async () => {
  await page.setViewportSize({ width: 360, height: 740 })
  for (const path of paths) {
    await visit(path)
    await settled()
    for (const summary of await page.locator('summary').all()) await summary.click()
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(360)
  }
})

it('each control is reached with the Tab key, in the order of the page, and seen to be', async () => {
  for (const path of paths) {
    await visit(path)
    await settled()
    const expected = await page.evaluate(() => {
      const all = [...document.querySelectorAll<HTMLElement>('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
      return all.filter((element) => {
        if (!element.checkVisibility() || element.matches(':disabled')) return false
        // A group of radio buttons is one stop.
        return !(element instanceof HTMLInputElement && element.type === 'radio' && !element.checked)
      }).map((element, index) => element.dataset.stop = String(index))
    })
    expect(expected.length, path).toBeGreaterThan(8)
    const reached: (string | undefined)[] = []
    for (let index = 0; index < expected.length; index++) {
      await page.keyboard.press('Tab')
      const stop = await page.evaluate(() => {
        const focused = document.activeElement as HTMLElement
        // The radio buttons are drawn by what is beside them.
        const drawn = focused.matches('.segments input') ? focused.nextElementSibling! : focused
        return { stop: focused.dataset.stop, name: focused.outerHTML.slice(0, 120), outline: getComputedStyle(drawn).outlineStyle }
      })
      expect(stop.outline, `${path}: ${stop.name}`).not.toBe('none')
      reached.push(stop.stop)
    }
    expect(reached, path).toEqual(expected)
  }
})

it('the first stop of the Tab key skips the parts that are the same everywhere', async () => {
  await visit('/feed')
  await page.keyboard.press('Tab')
  expect(await page.evaluate(() => document.activeElement!.textContent)).toBe('Skip to the content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  expect(await page.getByLabel('Your name').evaluate(element => element === document.activeElement)).toBe(true)
})

it('sends no request to any other host', async () => {
  const hosts = new Set<string>()
  page.on('request', request => hosts.add(new URL(request.url()).protocol === 'data:' ? 'data:' : new URL(request.url()).host))
  for (const path of paths) {
    await visit(path)
    await settled()
  }
  hosts.delete('data:')
  expect([...hosts]).toEqual([new URL(server.url).host])
})
