// Draws the card that shared links show, docs/public/card.png, from the logo: `npm run card`. Needs Chromium: the one on the PATH, or CHROMIUM_PATH.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const logo = readFileSync(new URL('public/logo.svg', import.meta.url), 'utf8')
const html = `<!doctype html>
<style>
  body { margin: 0; width: 1200px; height: 630px; box-sizing: border-box; padding: 88px 96px; display: flex; flex-direction: column; justify-content: space-between; background: #0b1f1a; color: #fff; font-family: ui-sans-serif, system-ui, sans-serif }
  header { display: flex; align-items: center; gap: 40px }
  svg { width: 152px; height: 152px }
  h1 { margin: 0; font-size: 104px; letter-spacing: -.03em }
  p { margin: 0; font-size: 46px; line-height: 1.3; max-width: 980px }
  code { font: 32px ui-monospace, monospace; color: #7ff0c0 }
</style>
<header>${logo}<h1>nuxt-sse</h1></header>
<p>Reliable server-sent events for Nuxt: resuming, heartbeats, back pressure, polling fallback.</p>
<code>const { data, status } = useSSE('/api/clock')</code>`

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH || execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim(),
  args: ['--no-sandbox', '--disable-gpu'],
})
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 630 } })
  await page.setContent(html)
  await page.screenshot({ path: fileURLToPath(new URL('public/card.png', import.meta.url)) })
}
finally {
  await browser.close()
}
