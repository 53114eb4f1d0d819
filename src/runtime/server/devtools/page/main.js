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
  const { stats, connections, closed, channels, presences } = snapshot
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
    one.key === undefined || one.closedAt ? cell(one.key ?? '') : buttons([one.key, 'Disconnect or reconnect this client', { key: one.key }]),
    cell(one.position ?? ''),
    cell(duration((one.closedAt ?? snapshot.at) - one.openedAt), 'number'),
    cell(one.messages, 'number'),
    cell(one.closedAt ? '' : format(rate(one.messages, last?.connections.find(({ id }) => id === one.id)?.messages)), 'number'),
    one.closedAt ? cell(`closed: ${one.reason}${one.code ? ` ${one.code}` : ''}`, one.reason === 'error' ? 'bad' : '') : one.waiting ? cell('waiting for the client', 'warn') : cell('open', 'good'),
    one.closedAt ? cell('') : buttons(['disconnect', `Disconnect ${one.path}`, { connection: one.id }], ['reconnect', `Make the client of ${one.path} reconnect`, { connection: one.id, leave: 'yes' }]),
  ], one => one.closedAt ? 'over' : '')
  rows('channels', channels, 'No channel has been used.', one => [
    isOwn(one.name) ? cell(one.name) : buttons([one.name, 'Publish to this channel', { channel: one.name }]),
    cell(`${one.epoch}.${one.lastOffset}`),
    cell(one.messages, 'number'),
    cell(one.readers, 'number'),
    cell(format(rate(one.lastOffset, last?.channels.find(({ name, epoch }) => name === one.name && epoch === one.epoch)?.lastOffset)), 'number'),
    cell(one.state, one.state === 'failed' ? 'bad' : one.state === 'ended' ? '' : 'good'),
  ])
  rows('presences', presences, 'No presence has a member or a watcher.', one => [
    cell(one.name),
    cell(one.count.toLocaleString('en'), 'number'),
    cell(membersOf(one), 'data'),
  ])
  options('names', channels.map(({ name }) => name).filter(name => !isOwn(name)))
  options('keys', connections.map(({ key }) => key).filter(key => key !== undefined))
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
  const next = items.length ? items.map(item => row(cells(item), nameOf(item))) : [row([Object.assign(cell(none, 'none'), { colSpan: body.previousElementSibling.rows[0].cells.length })])]
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

/** Logs of the module itself, to which an application cannot publish. */
function isOwn(name) {
  return name.startsWith('nuxt-sse:')
}

function membersOf({ count, members }) {
  const shown = members.map(({ id, data }) => data === undefined ? id : `${id} ${data}`)
  if (count > members.length) shown.push(members.length ? `and ${count - members.length} more` : 'too many to list')
  return shown.join(', ')
}

/** Suggestions of an input. */
function options(id, values) {
  const next = [...new Set(values)]
  const now = [...$(id).children].map(({ value }) => value)
  if (next.join('\n') !== now.join('\n')) $(id).replaceChildren(...next.map(value => Object.assign(document.createElement('option'), { value })))
}

/** Cell with buttons: text, description, and the data by which a click is handled. */
function buttons(...all) {
  const td = cell('')
  td.append(...all.map(([textContent, title, data]) => {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent, title })
    Object.assign(button.dataset, data)
    return button
  }))
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
  await act('published', 'publish', () => ({ channel, event, data: parse(data) }), ({ id }) => `Published as ${id}`)
})

$('connections').addEventListener('click', ({ target: { dataset: { key, connection, leave } } }) => {
  if (connection) return disconnect({ connection: Number(connection), leave: leave === 'yes' }, 'the stream')
  if (key === undefined) return
  $('disconnect').elements.key.value = key
  $('disconnect').elements.key.focus()
})

$('disconnect').addEventListener('submit', (submitted) => {
  submitted.preventDefault()
  const { key } = Object.fromEntries(new FormData(submitted.target))
  return disconnect({ key, leave: submitted.submitter?.value === 'leave' }, `the client ${key}`)
})

function disconnect(body, what) {
  return act('disconnected', 'disconnect', () => body, () => body.leave ? `Asked ${what} to reconnect` : `Disconnected ${what}`)
}

/** Sends a request that changes something, and shows its result or its error. */
async function act(id, route, body, done) {
  try {
    const response = await fetch(routeOf(route), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body()) })
    const answer = await response.json()
    tell(id, response.ok ? done(answer) : `${answer.code ?? answer.statusCode}: ${answer.message}`, !response.ok)
  }
  catch (error) {
    tell(id, error.message, true)
  }
}

function parse(data) {
  try {
    return JSON.parse(data)
  }
  catch (error) {
    throw new Error(`Expected the data to be JSON. Put text in quotes: "like this". (${error.message})`, { cause: error })
  }
}

function tell(id, text, bad) {
  $(id).textContent = text
  $(id).className = `result ${bad ? 'bad' : 'good'}`
}

/** Follows the theme of Nuxt DevTools; outside of it, the browser's. */
function followTheme() {
  if (parent === window) return
  const root = parent.document.documentElement
  const follow = () => document.documentElement.dataset.theme = root.classList.contains('dark') ? 'dark' : 'light'
  new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ['class'] })
  follow()
}
