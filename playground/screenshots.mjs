// Takes the pictures in docs/public/playground: each page of the built playground, light, dark, and at the width of a phone. `npm run
// pictures`; page names as arguments take only those. Needs Chromium: the one on the PATH, or CHROMIUM_PATH.
import { mkdir, writeFile } from 'node:fs/promises'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { startBrowser, startServer } from './picture-tools.mjs'

const OUT = process.env.SCREENSHOTS_DIR || fileURLToPath(new URL('../docs/public/playground/', import.meta.url))
const DESKTOP = { width: 1180, height: 800 }
const PHONE = { width: 360, height: 780 }
/** Size limit in bytes: a larger picture is taken again, at a lower quality. All of them have to stay below 1.5 MB. */
const MAX_BYTES = 58_000

const only = process.argv.slice(2)
let signedIn = 0
const { url, server } = await startServer()
const browser = await startBrowser()

try {
  await mkdir(OUT, { recursive: true })
  for (const [name, play] of Object.entries(plays())) {
    if (only.length && !only.includes(name)) continue
    for (const [variant, options] of Object.entries({
      light: { viewport: DESKTOP, colorScheme: 'light' },
      dark: { viewport: DESKTOP, colorScheme: 'dark' },
      phone: { viewport: PHONE, colorScheme: 'light', deviceScaleFactor: 2, isMobile: true, hasTouch: true },
    })) {
      const page = await browser.newPage(options)
      await play(page, options)
      await take(page, `${name}-${variant}`)
      await page.context().close()
    }
  }
}
finally {
  await browser.close()
  server.kill('SIGKILL')
}

/** Actions on each page before its picture is taken. */
function plays() {
  const status = (page, text) => page.getByRole('complementary').getByRole('status').filter({ hasText: text }).waitFor({ timeout: 30_000 })
  const received = (page, least) => page.waitForFunction(least => Number(document.querySelector('[data-testid=received]').textContent) >= least, least, { timeout: 60_000 })
  const cut = page => page.getByRole('button', { name: 'Cut the connection' }).click()
  const network = (page, name) => page.getByRole('radio', { name, exact: true }).check()
  return {
    async index(page) {
      await page.goto(`${url}/`)
      await received(page, 300)
    },
    async dashboard(page) {
      await page.goto(`${url}/dashboard`)
      await received(page, 350)
      await network(page, 'Delay')
      await received(page, 520)
      await network(page, 'Normal')
      await received(page, 720)
      await cut(page)
      await page.getByText(/resumed behind/).first().waitFor()
      await received(page, 1_000)
    },
    notifications: playNotifications,
    async 'two-users'(page) {
      await page.goto(`${url}/notifications/two-users`)
      for (const [from, to] of [['Ann', 'Bob'], ['Bob', 'Ann']]) {
        await page.getByLabel(`Message from ${from} to ${to}`).fill(`Hello ${to}.`)
        await page.getByRole('region', { name: from, exact: true }).getByRole('button', { name: 'Send' }).click()
        await page.getByRole('region', { name: to, exact: true }).getByText(`Hello ${to}.`).first().waitFor()
      }
    },
    async 'live-list'(page) {
      await page.goto(`${url}/live-list`)
      await status(page, 'connected')
      await page.getByLabel('Cut the right network').click()
      await page.getByLabel('New item, left').fill('Seen on the right when it is back')
      await page.getByRole('region', { name: 'left' }).getByRole('button', { name: 'Add' }).click()
      await page.getByRole('region', { name: 'left' }).getByText('Seen on the right').first().waitFor()
    },
    async chat(page) {
      await page.goto(`${url}/chat`)
      await page.getByRole('button', { name: 'What are server-sent events?' }).click()
      await page.getByText(/\d+ tokens in/).waitFor()
      await page.getByLabel('Your question').fill('Is a slow network a problem?')
      await page.getByRole('button', { name: 'Ask', exact: true }).click()
      await page.getByTestId('answer').filter({ hasText: 'fast source' }).waitFor()
      await cut(page)
      await page.getByText(/resumed behind/).first().waitFor()
    },
    async job(page) {
      await page.goto(`${url}/job`)
      await page.getByRole('button', { name: 'Start a job' }).click()
      await received(page, 25)
      await network(page, 'Stop')
      await status(page, /attempt [2-9]/)
      await network(page, 'Normal')
      await received(page, 60)
    },
    async feed(page) {
      await page.goto(`${url}/feed`)
      await status(page, 'connected')
      for (const [author, title, text] of [
        ['Grace', '', 'The nightly build is green again.'],
        ['Ada', 'Release 2.4 is out', 'Readers resume behind their last message, on whatever instance they land.'],
        ['Linus', '', 'I pulled the plug of my router, twice. Nothing was missing.'],
      ]) {
        await page.getByLabel('Your name').fill(author)
        await page.getByLabel('Title').fill(title)
        await page.getByLabel('News').fill(text)
        await page.getByRole('button', { name: 'Publish' }).click()
        await page.getByText(text, { exact: true }).waitFor()
        if (author === 'Ada') {
          await network(page, 'Stop')
          await status(page, /attempt [2-9]/)
          await network(page, 'Normal')
          await status(page, 'connected')
        }
      }
    },
  }
}

/** Needs a sign-in, and a second user who writes. It is another of the three users each time, because notices are kept. */
async function playNotifications(page, options) {
  const [mine, theirs] = [page, await (await browser.newContext(options)).newPage()]
  const first = signedIn++
  for (const [one, index] of [[mine, first % 3], [theirs, (first + 1) % 3]]) {
    await one.goto(`${url}/notifications`)
    await one.getByRole('button', { name: /^Sign in as/ }).nth(index).click()
    await one.getByRole('complementary').waitFor()
  }
  const [, name] = /^Sign out (.+)$/.exec((await mine.getByRole('button', { name: /^Sign out (?!everywhere)/ }).textContent()).trim())
  await mine.getByRole('button', { name: 'Start a job on this connection' }).click()
  for (const [index, text] of ['The report that you asked for is ready.', 'Your export has 12,480 rows, and is in your folder.'].entries()) {
    await theirs.getByRole('combobox', { name: /^To/ }).selectOption(name)
    await theirs.getByRole('textbox', { name: 'Message' }).fill(text)
    await theirs.getByRole('button', { name: 'Send' }).click()
    await mine.getByText(text).waitFor()
    if (index) break
    await mine.getByRole('button', { name: 'Cut the connection' }).click()
    await mine.getByText(/resumed behind/).first().waitFor()
  }
  await theirs.context().close()
}

/** WebP, a third of the size of a PNG. Taken through the DevTools protocol, because Playwright supports only PNG and JPEG. */
async function take(page, name) {
  await page.evaluate(() => {
    document.activeElement?.blur()
    scrollTo(0, 0)
  })
  // Waits for transitions, and for the fonts of elements that have just appeared.
  await page.waitForTimeout(400)
  const session = await page.context().newCDPSession(page)
  for (let quality = 90; quality >= 30; quality -= 15) {
    const { data } = await session.send('Page.captureScreenshot', { format: process.env.SCREENSHOTS_FORMAT || 'webp', quality })
    const bytes = Buffer.from(data, 'base64')
    if (bytes.length > MAX_BYTES && process.env.SCREENSHOTS_FORMAT !== 'png') continue
    await writeFile(`${OUT}/${name}.${process.env.SCREENSHOTS_FORMAT || 'webp'}`, bytes)
    return
  }
  throw new Error(`${name} is larger than ${MAX_BYTES} bytes, however coarse it is.`)
}
