// Checks the built site in Chromium: `npm run docs:build && npm run docs:check`. No dead link or anchor, no console message, no element without a
// name, nothing wider than the window, and for each search term the page that a reader wants. Screenshots are in docs/.vitepress/cache/screenshots: look at them.
import { existsSync, globSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { extname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { ARGS, chromiumPath } from '../test/support/chromium-args.ts'
import { INDEX_OPTIONS, TERMS } from './.vitepress/search.mjs'

const dist = fileURLToPath(new URL('.vitepress/dist', import.meta.url))
const shots = fileURLToPath(new URL('.vitepress/cache/screenshots', import.meta.url))
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json', '.woff2': 'font/woff2', '.webp': 'image/webp' }
const PAGES = ['index', 'guide/introduction', 'guide/use-sse', 'guide/troubleshooting', 'operate/deployment', 'operate/redis', 'reference/server', 'reference/types', 'contributing/guarantees']
const VIEWS = [
  ['light', { viewport: { width: 1280, height: 900 } }],
  ['dark', { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' }],
  ['phone', { viewport: { width: 360, height: 740 } }],
]
const NAMED = new Set(['button', 'link', 'textbox', 'checkbox', 'switch', 'combobox', 'image', 'searchbox', 'tab', 'radio'])

const problems = []

function checkLinks() {
  const pages = new Map(globSync('**/*.html', { cwd: dist }).map(page => [page.replaceAll('\\', '/'), readFileSync(join(dist, page), 'utf8')]))
  const ids = html => [...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id)
  let count = 0
  for (const [page, html] of pages) {
    for (const [, link] of html.matchAll(/<a[^>]*\shref="([^"]+)"/g)) {
      if (/^[a-z]+:/.test(link)) continue
      count++
      const { pathname, hash } = new URL(link.replaceAll('&amp;', '&'), `http://site/${page}`)
      const path = decodeURIComponent(pathname).slice(1)
      const target = path === '' || path.endsWith('/') ? `${path}index.html` : path
      if (!existsSync(join(dist, target))) problems.push(`${page}: ${link}: there is no such page`)
      else if (hash && pages.has(target) && !ids(pages.get(target)).includes(decodeURIComponent(hash.slice(1)))) problems.push(`${page}: ${link}: there is no such heading`)
    }
  }
  console.log(`${pages.size} pages, ${count} links`)
}

function serve() {
  const server = createServer((request, response) => {
    const path = join(dist, decodeURIComponent(new URL(request.url, 'http://site').pathname))
    const file = existsSync(path) && statSync(path).isDirectory() ? join(path, 'index.html') : path
    if (!existsSync(file)) return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file))
  })
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)))
}

async function checkPage(context, view, path, base) {
  const page = await context.newPage()
  const report = problem => problems.push(`${view} ${path}: ${problem}`)
  page.on('console', message => report(message.text()))
  page.on('pageerror', error => report(String(error)))
  page.on('response', response => response.status() >= 400 && report(`${response.status()} ${response.url()}`))
  await page.goto(`${base}/${path}.html`, { waitUntil: 'networkidle' })
  // Vue names the switch of the colours when it has mounted the page.
  await page.waitForSelector('.VPSwitch[title]:not([title=""])', { state: 'attached' })
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  if (beyond > 0) report(`${beyond} px wider than the window`)
  const { nodes } = await (await context.newCDPSession(page)).send('Accessibility.getFullAXTree')
  for (const { role, name, ignored } of nodes) if (!ignored && NAMED.has(role?.value) && !name?.value) report(`${role.value} without a name`)
  await page.screenshot({ path: join(shots, `${view}-${path.replaceAll('/', '-')}.png`) })
  for (const [index, image] of (await page.locator('.vp-doc p > img').all()).entries()) {
    const name = `${path.replaceAll('/', '-')}-${index + 1}`
    const box = await image.boundingBox()
    // Drawn at 13 px: below 70 %, words cannot be read.
    const scale = box.width / await image.evaluate(one => one.naturalWidth)
    if (scale < 0.7) report(`diagram ${index + 1} is shown at ${Math.round(scale * 100)} %`)
    await image.screenshot({ path: join(shots, `${view}-diagram-${name}.png`) })
  }
  await page.close()
}

/** Searches the index of the site for each term, and prints what comes first. */
async function checkRanking() {
  const [chunk] = globSync('assets/chunks/@localSearchIndexroot.*.js', { cwd: dist })
  const { default: MiniSearch } = await import(createRequire(import.meta.url).resolve('minisearch'))
  const { default: text } = await import(pathToFileURL(join(dist, chunk)).href)
  const index = MiniSearch.loadJSON(text, INDEX_OPTIONS)
  const first = new Map()
  for (const [term, expected] of Object.entries(TERMS)) {
    const [{ id } = { id: 'nothing' }] = index.search(term)
    first.set(term, id)
    console.log(`${term.padEnd(18)} ${id}`)
    if (!id.includes(`/${expected}.html`)) problems.push(`search: ${term}: ${id} comes before ${expected}`)
  }
  return first
}

/** The search box uses the same ranking: these terms depend on its functions. */
async function checkSearchBox(browser, base, first) {
  const page = await browser.newPage()
  await page.goto(`${base}/index.html`, { waitUntil: 'networkidle' })
  await page.keyboard.press('Control+k')
  const input = page.locator('.VPLocalSearchBox input').first()
  for (const term of ['login', 'test', 'channel', 'CHANNEL_ENDED']) {
    await input.fill(term)
    const link = page.locator(`.VPLocalSearchBox .results li:first-child a[href$="${first.get(term)}"]`)
    await link.waitFor({ timeout: 5_000 }).catch(() => problems.push(`search box: ${term}: ${first.get(term)} does not come first`))
  }
  await page.close()
}

checkLinks()
const first = await checkRanking()
mkdirSync(shots, { recursive: true })
const server = await serve()
const base = `http://127.0.0.1:${server.address().port}`
const browser = await chromium.launch({ executablePath: chromiumPath(), args: ARGS })
try {
  for (const [view, options] of VIEWS) {
    const context = await browser.newContext(options)
    for (const path of PAGES) await checkPage(context, view, path, base)
    await context.close()
  }
  await checkSearchBox(browser, base, first)
}
finally {
  await browser.close()
  server.close()
}
console.log(problems.join('\n') || 'No problems.')
process.exitCode = problems.length > 0 ? 1 : 0
