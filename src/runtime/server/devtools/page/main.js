// Page of the tab: shows the data of its stream in tables. This file is served without a build.

const MAX_ROWS = 200
const $ = id => document.getElementById(id)
const routeOf = name => new URL(name, import.meta.url).href

/** Previous snapshot, for computing rates. */
let last
/** @type {{ item: object, row: HTMLElement }[]} Newest first. */
let log = []
let paused = false

followTheme()
connect()

// An EventSource does not reconnect after an error status, and a development server restarts often.
function connect() {
  const source = new EventSource(routeOf('stream'))
  source.addEventListener('open', () => say('Connected', true))
  source.addEventListener('message', ({ data }) => show(JSON.parse(data)))
  source.addEventListener('error', () => {
    say('The server is unreachable. Retrying …', false)
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 1000)
  })
}

function say(text, connected) {
  if ($('link').textContent !== text) $('link').textContent = text
  $('link').classList.toggle('connected', connected)
}

function show(snapshot) {
  if (snapshot.failed) return say(`Driver error: ${snapshot.failed}`, false)
  say('Connected', true)
  const { stats, connections, closed, channels } = snapshot
  const seconds = last ? (snapshot.at - last.at) / 1000 : 0
  const rate = (now, before) => seconds > 0 && before !== undefined ? Math.max(0, (now - before) / seconds) : 0

  numbers({
    'Driver': stats.driver,
    'Open': stats.connections,
    'Polls': stats.polls,
    'Producers': stats.producers,
    'Messages per second': format(rate(stats.messagesSent, last?.stats.messagesSent)),
    'KB per second': format(rate(stats.bytesSent, last?.stats.bytesSent) / 1024),
    'Refused': Object.values(stats.refused).reduce((sum, count) => sum + count, 0),
  })
  rows('connections', [...connections, ...closed], 'No stream is open.', one => [
    cell(`${one.method === 'GET' ? '' : `${one.method} `}${one.path}`),
    cell(one.channel ?? ''),
    cell(one.position ?? ''),
    cell(duration((one.closedAt ?? snapshot.at) - one.openedAt), 'number'),
    cell(one.messages, 'number'),
    cell(one.closedAt ? '' : format(rate(one.messages, last?.connections.find(({ id }) => id === one.id)?.messages)), 'number'),
    one.closedAt ? cell(`closed: ${one.reason}${one.code ? ` ${one.code}` : ''}`, one.reason === 'error' ? 'bad' : '') : one.waiting ? cell('waiting for the client', 'warn') : cell('open', 'good'),
  ], one => one.closedAt ? 'over' : '')
  rows('channels', channels, 'No channel has been used.', one => [
    pick(one.name),
    cell(`${one.epoch}.${one.lastOffset}`),
    cell(one.messages, 'number'),
    cell(one.readers, 'number'),
    cell(format(rate(one.lastOffset, last?.channels.find(({ name, epoch }) => name === one.name && epoch === one.epoch)?.lastOffset)), 'number'),
    cell(one.state, one.state === 'failed' ? 'bad' : one.state === 'ended' ? '' : 'good'),
  ])
  const names = channels.map(({ name }) => name)
  if (names.join('\n') !== last?.channels.map(({ name }) => name).join('\n')) $('names').replaceChildren(...names.map(name => Object.assign(document.createElement('option'), { value: name })))
  last = snapshot
  append(snapshot.log)
}

function numbers(values) {
  const terms = Object.entries(values).map(([name, value]) => {
    const group = document.createElement('div')
    group.append(Object.assign(document.createElement('dt'), { textContent: name }), Object.assign(document.createElement('dd'), { textContent: value }))
    return group
  })
  $('numbers').replaceChildren(...terms)
}

/** Keeps unchanged rows in place, so that focus and text selection survive an update. */
function rows(id, items, none, cells, nameOf = () => '') {
  const body = $(id)
  const next = items.length ? items.map(item => row(cells(item), nameOf(item))) : [row([Object.assign(cell(none, 'none'), { colSpan: 7 })])]
  next.forEach((one, index) => {
    const now = body.children[index]
    if (!now) body.append(one)
    else if (now.className !== one.className || now.children.length !== one.children.length) now.replaceWith(one)
    else [...one.children].forEach((td, at) => now.children[at].isEqualNode(td) || now.children[at].replaceWith(td))
  })
  while (body.children.length > next.length) body.lastElementChild.remove()
}

function append(items) {
  const added = items.toSorted((a, b) => a.at - b.at).map(item => ({ item, row: row([
    cell(new Date(item.at).toLocaleTimeString('en-GB') + `.${String(item.at % 1000).padStart(3, '0')}`),
    cell(item.kind, item.kind === 'error' ? 'bad' : item.kind === 'gap' ? 'warn' : item.kind === 'message' ? 'good' : ''),
    cell(item.where),
    cell(item.id ?? ''),
    cell(`${item.event ? `${item.event}: ` : ''}${item.text}`, 'data'),
  ]) })).reverse()
  if (!added.length) return
  log = [...added, ...log].slice(0, MAX_ROWS)
  if (!paused) showLog()
}

function showLog() {
  const all = $('controls').checked
  const shown = log.filter(({ item }) => all || item.kind === 'message').map(({ row }) => row)
  $('log').replaceChildren(...shown.length ? shown : [row([Object.assign(cell('Nothing yet.', 'none'), { colSpan: 5 })])])
}

function row(cells, className = '') {
  const tr = document.createElement('tr')
  tr.className = className
  tr.append(...cells)
  return tr
}

function cell(text, className = '') {
  return Object.assign(document.createElement('td'), { textContent: String(text), className })
}

/** Name of a channel, as a button that fills it into the form. */
function pick(name) {
  const td = cell('')
  const button = Object.assign(document.createElement('button'), { type: 'button', textContent: name, title: 'Publish to this channel' })
  button.dataset.channel = name
  td.append(button)
  return td
}

function format(number) {
  return number === 0 ? '0' : number < 10 ? number.toFixed(1) : Math.round(number).toLocaleString('en')
}

function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`
}

$('channels').addEventListener('click', ({ target }) => {
  if (!target.dataset.channel) return
  $('publish').elements.channel.value = target.dataset.channel
  $('publish').elements.data.focus()
})

$('controls').addEventListener('change', showLog)
$('clear').addEventListener('click', () => {
  log = []
  showLog()
})
$('pause').addEventListener('click', () => {
  paused = !paused
  $('pause').setAttribute('aria-pressed', String(paused))
  showLog()
})

$('publish').addEventListener('submit', async (submitted) => {
  submitted.preventDefault()
  const { channel, event, data } = Object.fromEntries(new FormData(submitted.target))
  try {
    const body = JSON.stringify({ channel, event, data: parse(data) })
    const answer = await (await fetch(routeOf('publish'), { method: 'POST', headers: { 'content-type': 'application/json' }, body })).json()
    tell(answer.id ? `Published as ${answer.id}` : `${answer.code ?? answer.statusCode}: ${answer.message}`, !answer.id)
  }
  catch (error) {
    tell(error.message, true)
  }
})

function parse(data) {
  try {
    return JSON.parse(data)
  }
  catch (error) {
    throw new Error(`Expected the data to be JSON. Put text in quotes: "like this". (${error.message})`, { cause: error })
  }
}

function tell(text, bad) {
  $('published').textContent = text
  $('published').className = bad ? 'bad' : 'good'
}

/** Follows the theme of Nuxt DevTools; outside of it, the browser's. */
function followTheme() {
  if (parent === window) return
  const root = parent.document.documentElement
  const follow = () => document.documentElement.dataset.theme = root.classList.contains('dark') ? 'dark' : 'light'
  new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ['class'] })
  follow()
}
