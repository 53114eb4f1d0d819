// Draws the diagrams of the docs: `node docs/diagrams/draw.mjs`. They are dark on white, so that they can be read wherever the Markdown is shown.
import { writeFileSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const FONT = 'font-family="ui-sans-serif, system-ui, sans-serif"'
const INK = '#1f2937'
const FAINT = '#6b7280'
const GREEN = '#00684a'
const RED = '#b42318'

const escape = text => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function svg({ width, height, title, body }) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" ${FONT}>
  <title>${escape(title)}</title>
  <defs>
    <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="context-stroke" /></marker>
  </defs>
  <rect width="${width}" height="${height}" rx="8" fill="#fff" />
${body.map(line => `  ${line}`).join('\n')}
</svg>
`
}

/** `halo`: keeps lines behind the words away from them. */
const text = (x, y, words, { color = INK, size = 13, anchor = 'middle', weight = 400, halo = false } = {}) =>
  `<text x="${x}" y="${y}" fill="${color}" font-size="${size}" text-anchor="${anchor}"${weight === 400 ? '' : ` font-weight="${weight}"`}${halo ? ' stroke="#fff" stroke-width="4" paint-order="stroke"' : ''}>${escape(words)}</text>`

/** Messages between lanes, from top to bottom. A step is `[from, to, words, kind?]`, or `[lane, words]` for a note. */
function sequence(title, lanes, steps, { gap = 170 } = {}) {
  const x = index => 90 + index * gap
  const width = 180 + (lanes.length - 1) * gap
  const top = 56
  const height = top + steps.length * 38 + 24
  const body = lanes.flatMap((lane, index) => [
    `<path d="M${x(index)} ${top - 8}V${height - 16}" stroke="${FAINT}" stroke-dasharray="2 4" />`,
    `<rect x="${x(index) - 66}" y="14" width="132" height="32" rx="6" fill="#e7f5ef" stroke="${GREEN}" />`,
    text(x(index), 35, lane, { weight: 600 }),
  ])
  for (const [index, step] of steps.entries()) {
    const y = top + index * 38 + 26
    if (typeof step[1] === 'string') {
      const wide = step[1].length * 6.6 + 20
      const left = Math.min(Math.max(x(step[0]) - wide / 2, 6), width - wide - 6)
      body.push(`<rect x="${left}" y="${y - 18}" width="${wide}" height="24" rx="4" fill="#fff7e6" stroke="#b78103" />`, text(left + wide / 2, y - 1, step[1], { size: 12 }))
      continue
    }
    const [from, to, words, kind] = step
    const color = kind === 'lost' ? RED : kind === 'control' ? GREEN : INK
    const end = kind === 'lost' ? x(from) + (x(to) - x(from)) * 0.6 : x(to) + (to > from ? -2 : 2)
    body.push(`<path d="M${x(from)} ${y}H${end}" stroke="${color}" stroke-width="1.5"${kind === 'control' ? ' stroke-dasharray="5 3"' : ''} marker-end="url(#arrow)" />`)
    if (kind === 'lost') body.push(`<path d="M${end - 2} ${y - 6}l12 12m0 -12l-12 12" stroke="${RED}" stroke-width="2" />`)
    // Beside the cross of a lost connection.
    const middle = kind === 'lost' ? (x(from) + end) / 2 : (x(from) + x(to)) / 2
    body.push(text(middle, y - 7, words, { color, size: 12, halo: true }))
  }
  return svg({ width, height, title, body })
}

function states() {
  const at = { idle: [90, 60], connecting: [340, 60], connected: [590, 60], reconnecting: [590, 210], closed: [340, 210] }
  const box = ([name, [x, y]]) => [`<rect x="${x - 66}" y="${y - 19}" width="132" height="38" rx="19" fill="#e7f5ef" stroke="${GREEN}" />`, text(x, y + 5, name, { weight: 600, size: 14 })]
  const arrow = (path, words, x, y, { anchor = 'middle', color = INK } = {}) => [`<path d="${path}" fill="none" stroke="${color}" stroke-width="1.5" marker-end="url(#arrow)" />`, text(x, y, words, { size: 12, color, anchor })]
  return svg({
    width: 760,
    height: 300,
    title: 'The five states of a client: idle, connecting, connected, reconnecting and closed, and the transitions between them.',
    body: [
      ...arrow('M156 60H271', 'connect(), visible', 214, 52),
      ...arrow('M406 60H521', 'first bytes', 464, 52, { color: GREEN }),
      ...arrow('M610 79V188', 'lost, silent', 618, 140, { anchor: 'start', color: RED }),
      ...arrow('M570 191V82', 'first bytes', 562, 118, { anchor: 'end', color: GREEN }),
      ...arrow('M392 72L540 189', 'failed', 452, 142, { anchor: 'end', color: RED }),
      ...arrow('M524 210H409', 'gives up', 466, 228, { color: RED }),
      ...arrow('M320 79V188', '401, 404', 312, 140, { anchor: 'end', color: RED }),
      ...arrow('M360 191V82', 'connect()', 367, 178, { anchor: 'start' }),
      text(380, 262, 'end, stop() and final errors lead from every state to closed.', { size: 12, color: FAINT }),
      text(380, 282, 'A frozen page, and a hidden one with pauseWhenHidden, is idle until it is visible again.', { size: 12, color: FAINT }),
      ...Object.entries(at).flatMap(box),
    ],
  })
}

export const DIAGRAMS = {
  'publish.svg': sequence('A message that instance A publishes reaches the readers of both instances through Redis.', ['handler', 'instance A', 'Redis', 'instance B', 'two readers'], [
    [0, 1, 'publish(data)'],
    [1, 2, 'append'],
    [2, 1, 'position e1.42', 'control'],
    [1, 0, 'resolves: stored', 'control'],
    [2, 1, 'notice e1.42'],
    [2, 3, 'notice e1.42'],
    [1, 4, 'id: e1.42, to its reader'],
    [3, 4, 'id: e1.42, to its reader'],
  ], { gap: 150 }),
  'reconnect.svg': sequence('A client reconnects with its position, and receives the messages that it missed.', ['client', 'server', 'channel'], [
    [1, 0, 'id: e1.41'],
    [1, 0, 'connection lost', 'lost'],
    [2, 'e1.42 and e1.43 are published'],
    [0, 1, 'GET, Last-Event-ID: e1.41'],
    [1, 0, 'open, resumed: true', 'control'],
    [1, 0, 'id: e1.42'],
    [1, 0, 'id: e1.43'],
    [0, 'nothing is missing, nothing is repeated'],
  ], { gap: 230 }),
  'gap.svg': sequence('A client reconnects after the retention has removed messages, and receives a gap.', ['client', 'server', 'channel'], [
    [1, 0, 'id: e1.41'],
    [1, 0, 'connection lost', 'lost'],
    [2, '900 messages; the oldest stored one is e1.500'],
    [0, 1, 'GET, Last-Event-ID: e1.41'],
    [1, 0, 'open, resumed: false', 'control'],
    [1, 0, 'gap: trimmed, 458 missed', 'control'],
    [1, 0, 'id: e1.500'],
    [1, 0, 'id: e1.501, and so on'],
  ], { gap: 230 }),
  'transports.svg': sequence('A client behind a proxy that buffers polls from the same position, and later switches back to a stream.', ['client', 'proxy', 'server'], [
    [0, 2, 'GET, text/event-stream'],
    [2, 1, 'open, id: e1.41'],
    [1, 'buffers: nothing arrives'],
    [0, 2, 'the probe: does the network buffer?', 'control'],
    [0, 2, 'GET ?transport=poll'],
    [2, 0, 'batch, position e1.42'],
    [0, 2, 'GET ?transport=poll&position=e1.42'],
    [2, 0, 'batch, position e1.44'],
    [0, 'after 60 s: tries a stream beside the poll'],
    [0, 2, 'GET, text/event-stream, from e1.44'],
    [2, 0, 'id: e1.45'],
  ], { gap: 230 }),
  'states.svg': states(),
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, content] of Object.entries(DIAGRAMS)) writeFileSync(fileURLToPath(new URL(name, import.meta.url)), content)
}
