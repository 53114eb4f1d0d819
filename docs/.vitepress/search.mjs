/** Ranking of the site's search (MiniSearch). Functions are sent to the browser as text, so they use nothing outside of themselves. */

/** Words that users type, and the page that must come first: `docs/check.mjs`. */
export const TERMS = {
  'nothing arrives': 'guide/troubleshooting',
  'reconnect': 'guide/use-sse',
  'nginx': 'operate/deployment',
  'redis': 'operate/redis',
  'login': 'guide/authentication',
  'logout': 'guide/authentication',
  'token': 'guide/authentication',
  'cookie': 'guide/authentication',
  'cors': 'guide/authentication',
  'chat': 'guide/use-chat',
  'progress': 'guide/job-progress',
  'test': 'guide/testing',
  'mock': 'guide/testing',
  'presence': 'guide/presence',
  'channel': 'guide/channels',
  'todo list': 'guide/live-lists',
  'offline': 'guide/use-sse',
  'vercel': 'operate/deployment',
  'cloudflare': 'operate/runtimes',
  'docker': 'operate/deployment',
  'memory': 'operate/drivers',
  'prometheus': 'operate/monitoring',
  'polling': 'guide/use-sse',
  'websocket': 'guide/introduction',
  'ssr': 'guide/server-rendering',
  'binary': 'recipes/binary-data',
  'socket.io': 'guide/migrating',
  'bullmq': 'guide/publish-anywhere',
  '401': 'guide/troubleshooting',
  'heartbeat': 'recipes/visible-heartbeats',
  'gap': 'guide/gaps',
  'share tabs': 'guide/sharing',
  'error codes': 'reference/errors',
  'CHANNEL_ENDED': 'reference/errors',
  'defineSSEHandler': 'reference/server',
  'useSSE': 'guide/use-sse',
}

const FIELDS = {
  fields: ['title', 'titles', 'text'],
  storeFields: ['title', 'titles'],
}

/** Terms of the index and of queries: an error code is one word, and `Channels` is found as `channel`. */
const options = {
  tokenize: text => text.split(/(?:(?!_)[\n\r\p{Z}\p{P}])+/u),
  processTerm: term => term.toLowerCase().replace(/(?<=\p{L}{3})s$/u, ''),
}

const searchOptions = {
  fuzzy: 0.2,
  prefix: true,
  boost: { title: 4, text: 1, titles: 1 },
  /** Other words for what the pages name. */
  processTerm(term) {
    const synonyms = { login: 'authentication', logout: 'sign', auth: 'authentication', jwt: 'token', offline: 'reconnect', todo: 'live', longpoll: 'polling', ws: 'websocket', upload: 'binary', scale: 'scaling', cluster: 'redis', mocking: 'mock' }
    const word = term.toLowerCase()
    return [word, synonyms[word] ?? ''].filter(Boolean).map(one => one.replace(/(?<=\p{L}{3})s$/u, ''))
  },
  /** Guides before lists of names, and the beginning of a guide before its parts. Codes are on the page of errors. */
  boostDocument(id, term, { titles }) {
    if (term.includes('_')) return id.includes('/reference/errors') ? 3 : 1
    const weights = [['/reference/types', 0.3], ['/reference/test', 0.4], ['/reference/errors', 0.5], ['/reference/', 0.7], ['/contributing/', 0.3], ['/guide/playground', 0.4], ['/project/', 0.8], ['/recipes/', 0.9]]
    const [, weight = 1] = weights.find(([path]) => id.includes(path)) ?? []
    return weight * (titles.length === 0 ? 1.6 : 1)
  },
}

export const miniSearch = { options, searchOptions }

/** Options of the index as the search box opens it. */
export const INDEX_OPTIONS = { ...FIELDS, ...options, searchOptions }
