// Checks the built site in Chromium: `npm run docs:build && npm run docs:check`. No dead link or anchor, no console message, no element without a
// name, nothing wider than the window, and a result for each search term. Screenshots are in docs/.vitepress/cache/screenshots: look at them.
import { existsSync, globSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const dist = fileURLToPath(new URL('.vitepress/dist', import.meta.url))
const shots = fileURLToPath(new URL('.vitepress/cache/screenshots', import.meta.url))
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json', '.woff2': 'font/woff2', '.webp': 'image/webp' }
const PAGES = ['index', 'guide/use-sse', 'guide/troubleshooting', 'operate/deployment', 'reference/server', 'contributing/guarantees']
const VIEWS = [
  ['light', { viewport: { width: 1280, height: 900 } }],
  ['dark', { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' }],
  ['phone', { viewport: { width: 360, height: 740 } }],
]
const TERMS = ['reconnect', 'heartbeat', 'nginx', 'authentication cookie', 'redis', 'broadcast', 'useChat', 'progress bar', 'cors', 'vercel', 'gap', 'retention', 'prometheus', '401', 'polling', 'websocket', 'ssr', 'binary', 'back pressure', 'socket.io', 'cloudflare workers', 'share tabs', 'error codes', 'publish', 'token']
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
  await page.close()
}

async function search(browser, base) {
  const page = await browser.newPage()
  await page.goto(`${base}/index.html`, { waitUntil: 'networkidle' })
  await page.keyboard.press('Control+k')
  const input = page.locator('.VPLocalSearchBox input').first()
  for (const term of TERMS) {
    await input.fill(term)
    await page.waitForTimeout(400)
    const found = await page.locator('.VPLocalSearchBox .results a').first().getAttribute('href', { timeout: 2_000 }).catch(() => undefined)
    if (!found) problems.push(`search: nothing for ${term}`)
    console.log(`${term.padEnd(24)} ${found}`)
  }
}

checkLinks()
mkdirSync(shots, { recursive: true })
const server = await serve()
const base = `http://127.0.0.1:${server.address().port}`
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM_PATH || ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync), args: ['--no-sandbox'] })
try {
  for (const [view, options] of VIEWS) {
    const context = await browser.newContext(options)
    for (const path of PAGES) await checkPage(context, view, path, base)
    await context.close()
  }
  await search(browser, base)
}
finally {
  await browser.close()
  server.close()
}
console.log(problems.join('\n') || 'No problems.')
process.exitCode = problems.length > 0 ? 1 : 0
