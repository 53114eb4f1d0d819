// Makes the animation at the top of the README: six seconds of the dashboard, in which the connection is cut and resumes. It is an SVG
// with CSS keyframes, drawn from a recording: the counters of the page in Chromium, and what the server published meanwhile. `npm run
// pictures` runs it. Needs Chromium: the one on the PATH, or CHROMIUM_PATH.
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { startBrowser, startServer } from './picture-tools.mjs'

const OUT = process.env.ANIMATION_PATH || fileURLToPath(new URL('../docs/public/playground/cut-and-resumed.svg', import.meta.url))
const SECONDS = 6
/** Time at the end during which the last frame stays, in seconds. */
const HOLD = 2
const FRAMES_A_SECOND = 10
const CUT_AT = 1.5

const { url, server } = await startServer()
const browser = await startBrowser()
try {
  await writeFile(OUT, draw(await record()))
}
finally {
  await browser.close()
  server.kill('SIGKILL')
}

/** Counters of the page and offsets of the server, each with its time in seconds. */
async function record() {
  const page = await browser.newPage({ viewport: { width: 1180, height: 800 } })
  await page.goto(`${url}/dashboard`)
  await page.waitForFunction(() => Number(document.querySelector('[data-testid=received]')?.textContent) > 100)
  const published = []
  const reading = new AbortController()
  const following = follow(published, reading.signal)
  await page.evaluate(() => {
    const shown = globalThis.shown = []
    const text = id => document.querySelector(`[data-testid=${id}]`).textContent.trim()
    function look() {
      shown.push({ at: Date.now(), received: Number(text('received')), missing: Number(text('missing')), offset: Number(text('position').split('.')[1]), status: document.querySelector('aside [role=status]').dataset.status })
      requestAnimationFrame(look)
    }
    look()
  })
  while (!published.length) await new Promise(resolve => setTimeout(resolve, 20))
  const start = Date.now()
  await page.waitForTimeout(CUT_AT * 1_000)
  await page.getByRole('button', { name: 'Cut the connection' }).click()
  await page.waitForTimeout((SECONDS - CUT_AT) * 1_000 + 200)
  const shown = await page.evaluate(() => globalThis.shown)
  reading.abort()
  await following
  const inTime = list => list.map(({ at, ...rest }) => ({ at: (at - start) / 1_000, ...rest })).filter(({ at }) => at >= 0 && at <= SECONDS)
  return { shown: inTime(shown), published: inTime(published) }
}

/** Reads the same channel without an interruption. */
async function follow(published, signal) {
  const { body } = await fetch(`${url}/api/samples/stream`, { headers: { accept: 'text/event-stream' }, signal })
  let text = ''
  try {
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      const lines = (text + chunk).split('\n')
      text = lines.pop()
      for (const line of lines) if (line.startsWith('id:')) published.push({ at: Date.now(), offset: Number(line.split('.').at(-1)) })
    }
  }
  catch (error) {
    if (!signal.aborted) throw error
  }
}

function draw({ shown, published }) {
  const first = shown[0].offset
  const last = published.at(-1).offset
  const lost = shown.find(({ status }) => status !== 'connected')
  const back = shown.find(({ at, status }) => at > lost.at && status === 'connected')
  const end = shown.at(-1)
  if (!lost || !back || end.missing) throw new Error('The recording shows no cut, no resumption, or missing messages. Run it again.')

  const [left, right, top, bottom] = [24, 736, 96, 236]
  const x = at => round(left + (right - left) * at / SECONDS)
  const y = offset => round(bottom - (bottom - top) * (offset - first) / (last - first))
  const line = points => steps(points).map(({ at, offset }) => `${x(at)},${y(offset)}`).join(' ')

  const frames = Array.from({ length: SECONDS * FRAMES_A_SECOND + 1 }, (_, frame) => shown.findLast(({ at }) => at <= frame / FRAMES_A_SECOND) ?? shown[0])
  const base = shown[0].received
  const reel = texts => texts.map((text, frame) => `<text y="${frame * 40}"${text.class ? ` class="${text.class}"` : ''}>${text.text}</text>`).join('')
  const share = round(100 * SECONDS / (SECONDS + HOLD))
  const shift = -40 * (frames.length - 1)
  const LABELS = { connected: '● connected', connecting: '▲ connecting', reconnecting: '▲ reconnecting' }

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 280" width="760" height="280" role="img" aria-label="Six seconds of a stream. The connection is cut, resumes after ${(back.at - lost.at).toFixed(1)} seconds, and no message is missing.">
<style>
svg { --bg: #fff; --line: #dfe5e1; --text: #161d19; --muted: #56615b; --accent: #067052; --warn: #925200; --bad: #b3261e; font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
@media (prefers-color-scheme: dark) { svg { --bg: #161a18; --line: #2a322f; --text: #e9eeec; --muted: #9aa6a1; --accent: #46d3a2; --warn: #f0b45b; --bad: #ff8f86 } }
.box { fill: var(--bg); stroke: var(--line) }
text { fill: var(--text) }
.muted { fill: var(--muted); font-size: 12px }
.good { fill: var(--accent) }
.warn { fill: var(--warn) }
.value { font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums }
.published { fill: none; stroke: var(--muted); stroke-width: 1.5; stroke-dasharray: 3 4 }
.received { fill: none; stroke: var(--accent); stroke-width: 3; stroke-linejoin: round }
.away { fill: var(--warn); opacity: 0.14 }
.edge { stroke: var(--warn); stroke-dasharray: 2 3 }
.reel { transform: translateY(${shift}px); animation: reel ${SECONDS + HOLD}s infinite }
.curtain { animation: curtain ${SECONDS + HOLD}s linear infinite; transform-origin: ${left - 4}px 0 }
@keyframes reel { 0% { transform: translateY(0); animation-timing-function: steps(${frames.length - 1}) } ${share}%, 100% { transform: translateY(${shift}px) } }
@keyframes curtain { 0% { transform: scaleX(0) } ${share}%, 100% { transform: scaleX(1) } }
@media (prefers-reduced-motion: reduce) { .reel, .curtain { animation: none } }
</style>
<clipPath id="row"><rect x="-4" y="-24" width="190" height="34"/></clipPath>
<clipPath id="shown"><rect class="curtain" x="${left - 4}" y="60" width="${right - left + 8}" height="200"/></clipPath>
<rect class="box" x="0.5" y="0.5" width="759" height="279" rx="12"/>
<text class="muted" x="24" y="26">Connection</text>
<text class="muted" x="330" y="26">Received</text>
<text class="muted" x="470" y="26">Missing</text>
<g transform="translate(24 52)" clip-path="url(#row)"><g class="reel value">${reel(frames.map(({ status }) => ({ text: LABELS[status], class: status === 'connected' ? 'good' : 'warn' })))}</g></g>
<g transform="translate(330 52)" clip-path="url(#row)"><g class="reel value">${reel(frames.map(({ received }) => ({ text: String(received - base) })))}</g></g>
<g transform="translate(470 52)" clip-path="url(#row)"><g class="reel value">${reel(frames.map(({ missing }) => ({ text: String(missing), class: 'good' })))}</g></g>
<text class="muted" x="736" y="26" text-anchor="end">50 messages a second</text>
<g clip-path="url(#shown)">
<rect class="away" x="${x(lost.at)}" y="${top - 20}" width="${round(x(back.at) - x(lost.at))}" height="${bottom - top + 20}"/>
<path class="edge" d="M${x(lost.at)} ${top - 20}V${bottom}M${x(back.at)} ${top - 20}V${bottom}"/>
<text class="warn" x="${x(lost.at) - 8}" y="${top - 6}" text-anchor="end">cut</text>
<text class="good" x="${x(back.at) + 8}" y="${top - 6}">resumed after ${(back.at - lost.at).toFixed(1)} s</text>
<polyline class="published" points="${line(published.filter(({ offset }) => offset >= first))}"/>
<polyline class="received" points="${line(shown)}"/>
</g>
<path d="M${left} ${bottom + 0.5}H${right}" stroke="var(--line)"/>
<text class="muted" x="24" y="262"><tspan class="good">━</tspan> received by the page   ┅ published by the server</text>
<text class="muted" x="736" y="262" text-anchor="end">${SECONDS} s</text>
</svg>
`
}

/** Points at which the offset changes, at most one for each frame. */
function steps(points) {
  return points.filter(({ at, offset }, index) => index === 0 || index === points.length - 1
    || (offset !== points[index - 1].offset && Math.floor(at * FRAMES_A_SECOND * 2) !== Math.floor(points[index - 1].at * FRAMES_A_SECOND * 2))
    || points[index + 1].offset - offset > 10 || offset - points[index - 1].offset > 10)
}

function round(value) {
  return Math.round(value * 10) / 10
}
