import { execFile } from 'node:child_process'
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { reduceSSEPresence } from '../../src/runtime/app/reduce-sse-presence'
import { openSSE } from '../../src/runtime/client/open-sse'
import type { SSEPresenceMember, SSEPresenceMessage } from '../../src/runtime/shared/presence'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { launchBrowser } from '../support/browser'
import type { CompletionsApi } from '../support/completions-api'
import { startCompletionsApi } from '../support/completions-api'
import { eventually } from '../support/conditions'
import { readBlocks, readPage, readPages } from '../support/markdown'
import { rootDir } from '../support/projects'

/**
 * Every block of TypeScript and Vue in README and docs is a file of one application, which is type-checked: under the path
 * in the line above it, else as a part of a file of the app or of the server.
 * Two blocks under one path must be the same: pages that contradict each other confuse the reader.
 */

const run = promisify(execFile)
const app = join(rootDir, 'test/fixtures/.docs')

/** Names that the texts take for granted. */
const STAND_INS: Record<string, string> = {
  'server/utils/stand-ins.ts': `
import type { H3Event } from 'h3'

export const bus = { on: (_name: string, _listener: (value: number) => void) => () => {} }
export const requireUser = async (_event: H3Event) => ({ id: '1', name: 'Ann' })
export const checkPassword = async (name: string, _password: string) => ({ id: name })
export const requireAccessToken = async (_event: H3Event) => ({ user: '1', expiresAt: 0 })
export const requireAccess = async (_event: H3Event, _id: string) => {}
export async function* writeReport(_id: string, _options: { signal: AbortSignal, from: number }) {
  yield { percent: 0 }
}
export const exportPart = (_id: string, _index: number, signal: AbortSignal) => wait(20, signal)
export const askForPrice = async (signal: AbortSignal) => (await wait(1, signal), { symbol: 'SSE', price: 42 })
const wait = (ms: number, signal: AbortSignal) => new Promise<void>((resolve, reject) => {
  setTimeout(resolve, ms)
  signal.addEventListener('abort', () => reject(signal.reason))
})
export const captureError = (_error: unknown, _about: object) => {}
export async function* answer(prompt: string, _signal?: AbortSignal) {
  yield { text: prompt }
}
`,
  'shared/types/stand-ins.ts': 'export interface Step { percent: number }\n',
  'server/utils/model.ts': `
import { simulateReadableStream } from 'ai'
import { MockLanguageModelV4 } from 'ai/test'

const usage = { inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined }, outputTokens: { total: 1, text: 1, reasoning: undefined } }

/** Ten words, or 2,000 for a prompt with "much". A prompt with "fail" fails after the first word. */
export const model = new MockLanguageModelV4({
  doStream: async ({ prompt }) => {
    const asked = JSON.stringify(prompt)
    const words = Array.from({ length: asked.includes('much') ? 2_000 : 10 }, (_, n) => ({ type: 'text-delta', id: '1', delta: \`word\${n + 1} \` }) as const)
    return {
      stream: simulateReadableStream({
        chunkDelayInMs: 10,
        chunks: [
          { type: 'text-start', id: '1' },
          ...asked.includes('fail') ? [words[0]!, { type: 'error', error: new Error('The provider is down.') } as const] : words,
          { type: 'text-end', id: '1' },
          { type: 'finish', finishReason: { unified: 'stop', raw: undefined }, usage },
        ],
      }),
    }
  },
})
`,
  'app/utils/stand-ins.ts': 'export const prompt = \'Why?\'\nexport const refresh = async () => ({ value: prompt, expiresAt: 0 })\n',
  'server/express.d.ts': `
declare module 'express' {
  import type { IncomingMessage, ServerResponse } from 'node:http'
  type Response = ServerResponse & { set: (headers: object) => Response, flushHeaders: () => void, sendStatus: (code: number) => void }
  type Handler = (request: IncomingMessage & { body: unknown }, response: Response) => void
  const express: { (): Record<'get' | 'post', (path: string, ...handlers: Handler[]) => void>, json: () => Handler }
  export { Response }
  export default express
}
`,
  'app/pages/notices.vue': '<template>\n  <NoticeList />\n</template>\n',
  ...Object.fromEntries(['one', 'two'].map(name => [`app/pages/${name}.vue`, `<script setup lang="ts">\ndefinePageMeta({ layout: 'signed-in' })\n</script>\n\n<template>\n  <p>\n    Page ${name} <UnreadBell /> <NuxtLink to="/one">To one</NuxtLink> <NuxtLink to="/two">To two</NuxtLink>\n  </p>\n</template>\n`])),
  'server/utils/db.ts': 'export const db = { todos: async () => [{ title: \'Water the plants\' }] }\n',
  'server/api/jobs/[id]/stream.get.ts': 'export default defineSSEHandler(event => useSSEChannel<{ percent: number }>(`job:${getRouterParam(event, \'id\')}`))\n',
}

interface Block {
  /** The place of the block, for the report of a failure. */
  source: string
  path: string
  text: string
}

async function readTypedBlocks(): Promise<Block[]> {
  const blocks: Block[] = []
  for (const [page, markdown] of await readPages()) {
    for (const { language, file, text, line } of readBlocks(markdown)) {
      if (language !== 'ts' && language !== 'vue') continue
      blocks.push({ source: `${page}:${line}`, path: file ?? unnamed(`${page}-${line}`.replaceAll(/\W/g, '-'), language, text), text })
    }
  }
  return blocks
}

function unnamed(name: string, language: 'ts' | 'vue', text: string): string {
  if (language === 'vue') return `app/components/${name}.vue`
  if (text.includes('defineNuxtConfig')) return 'nuxt.config.ts'
  if (/\buse(?:SSE|EventSource)\b|openSSE\(|\bref\(|new EventSource\(/.test(text)) return `app/blocks/${name}.ts`
  return `server/blocks/${name}.ts`
}

const sources: Record<string, string> = {}

beforeAll(async () => {
  await rm(app, { recursive: true, force: true })
  const files = new Map<string, string>()
  for (const [index, { source, path, text }] of (await readTypedBlocks()).entries()) {
    // An application has one configuration; of those in the docs, each is checked for itself.
    const place = path === 'nuxt.config.ts' ? `configs/${index}.ts` : path
    if (files.has(place) && files.get(place) !== text) throw new Error(`${source} shows another ${place} than ${sources[place]}.`)
    files.set(place, text)
    sources[place] = source
  }
  for (const [path, text] of Object.entries(STAND_INS)) if (!files.has(path)) files.set(path, text)
  // From the sources, as another test may be packing `dist` just now. Like the package's exports: types of both sides, and code of the page.
  const aliases = (ai: string) => JSON.stringify(Object.fromEntries(Object.entries({ client: 'client/index', test: 'test/index', ai }).map(([name, path]) => [`nuxt-sse/${name}`, join(rootDir, `src/runtime/${path}`)])))
  files.set('nuxt.config.ts', `export default defineNuxtConfig({ modules: ['../../../src/module', 'nuxt-auth-utils', ...process.argv.includes('prepare') ? ['nuxt-security'] : []], alias: process.argv.includes('prepare') ? ${aliases('ai/server-entry')} : ${aliases('ai/index')}, compatibilityDate: '2026-11-01', telemetry: false })\n`)
  files.set('tsconfig.configs.json', JSON.stringify({ extends: './.nuxt/tsconfig.node.json', include: ['configs', '.nuxt/nuxt.node.d.ts'] }))
  // Tests, and the application that they run, which is one for itself and has here the same Nitro.
  files.set('tsconfig.tests.json', JSON.stringify({ extends: './.nuxt/tsconfig.node.json', include: ['test/*.ts', 'test/e2e/*.ts', 'vitest.config.ts', '.nuxt/nuxt.node.d.ts'] }))
  files.set('tsconfig.test-app.json', JSON.stringify({ extends: './.nuxt/tsconfig.server.json', include: ['test/app/server', 'shared/**/*.d.ts', '.nuxt/types/nitro*.d.ts'] }))
  const references = [...['app', 'server', 'shared'].map(name => `./.nuxt/tsconfig.${name}.json`), './tsconfig.configs.json', './tsconfig.tests.json', './tsconfig.test-app.json']
  files.set('tsconfig.json', JSON.stringify({ files: [], references: references.map(path => ({ path })) }))
  for (const [path, text] of files) {
    await mkdir(dirname(join(app, path)), { recursive: true })
    // A block without an import or export would be a script, and share its names with all others.
    await writeFile(join(app, path), path.endsWith('.ts') && !path.endsWith('.d.ts') && !/^(?:import|export) /m.test(text) ? `${text}export {}\n` : text)
  }
  await run(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'prepare', app], { cwd: rootDir })
})

afterAll(() => rm(app, { recursive: true, force: true }))

it('every block of code in README and docs is right', async () => {
  expect(Object.keys(sources).length).toBeGreaterThan(12)
  const problems = await run(process.execPath, ['node_modules/vue-tsc/bin/vue-tsc.js', '-b', '--noEmit', app], { cwd: rootDir }).then(() => '', (error: { stdout: string }) => error.stdout)
  expect(problems.replaceAll(/^\S*?fixtures\/\.docs\/([^(\s]+)/gm, (_, path: string) => `${sources[path] ?? 'stand-in'} (${path})`)).toBe('')
})

it('the tests of components, with `mockSSE` and with MSW, pass', async () => {
  const report = join(app, 'report.json')
  const said = await run(process.execPath, [join(rootDir, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=json', `--outputFile=${report}`], { cwd: app }).then(() => '', (error: { stdout: string, stderr: string }) => error.stdout + error.stderr)
  expect(said).toBe('')
  expect(JSON.parse(await readFile(report, 'utf8'))).toMatchObject({ success: true, numPassedTests: 3 })
})

describe('the examples', () => {
  let server: BuiltServer
  let api: CompletionsApi
  beforeAll(async () => {
    api = await startCompletionsApi()
    // Of the plugins, the application needs one: another is for Redis. An application with pages has no need of an `app.vue`.
    const plugins = (await readdir(join(app, 'server/plugins'))).filter(name => name !== 'sign-out.ts')
    for (const path of [...plugins.map(name => `server/plugins/${name}`), 'app/app.vue']) await rm(join(app, path), { recursive: true, force: true })
    await run(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'build', app], { cwd: rootDir, env: { ...process.env, NODE_ENV: 'production' } })
    server = await startBuiltServer({ dir: app }, { env: { OPENAI_BASE_URL: api.url, OPENAI_API_KEY: 'sk-secret', NUXT_SESSION_PASSWORD: 'a password of at least 32 characters' } })
  })
  afterAll(async () => {
    await stopBuiltServers()
    await api.close()
  })

  const send = (method: string, path: string, body?: object) => fetch(server.url + path, { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) })
  const sendJson = async <T>(...request: Parameters<typeof send>) => (await send(...request)).json() as Promise<T>
  const open = <T>(path: string, options: Parameters<typeof openSSE<T>>[1] = {}) => openSSE<T>(server.url + path, { reconnect: { minDelayMs: 10 }, ...options })

  /** All data to the end, and the error after it. */
  async function readAll<T>(source: ReturnType<typeof open<T>>): Promise<{ data: T[], code?: string }> {
    const data: T[] = []
    try {
      for await (const message of source) data.push(message.data)
      return { data }
    }
    catch (error) {
      return { data, code: (error as { code: string }).code }
    }
  }

  interface CompletionChunk { choices: [{ delta: { content: string } }] }
  const post = (body: object) => ({ method: 'POST', body })
  const TEN_WORDS = Array.from({ length: 10 }, (_, n) => `word${n + 1} `)

  it('getting-started: all guests see an entry of one, late guests too', async () => {
    for (const name of ['Ada', 'Grace']) await send('POST', '/api/guests', { name })
    expect((await readAll(open<{ name: string }>('/api/guests', { until: ({ data }) => data.name === 'Grace' }))).data).toEqual([{ name: 'Ada' }, { name: 'Grace' }])
  })

  it('getting-started: a check before the stream is a status, and final', async () => {
    expect(await readAll(open('/api/search', post({ words: 'one two' })))).toEqual({ data: [{ found: 'one' }, { found: 'two' }] })
    const refused = open('/api/search', post({}))
    expect(await readAll(refused)).toMatchObject({ data: [], code: 'HTTP_ERROR' })
    expect(refused.error).toMatchObject({ statusCode: 422, message: 'Enter a word to search for.', retry: false })
  })

  it('ai-streaming: an answer arrives whole; a model that fails is no answer that ends', async () => {
    expect(await readAll(open('/api/ask', post({ prompt: 'Why?' })))).toEqual({ data: TEN_WORDS })
    expect(await readAll(open('/api/ask', post({ prompt: 'fail' })))).toEqual({ data: ['word1 '], code: 'SOURCE_FAILED' })
    expect(await readAll(open('/api/ask-again', post({ prompt: 'fail' })))).toEqual({ data: ['word1 '], code: 'SOURCE_FAILED' })
  })

  it('ai-streaming: an answer with a name is there for every later reader, and can be stopped', async () => {
    const { id } = await sendJson<{ id: string }>('POST', '/api/answers', { prompt: 'Why?' })
    expect(await Promise.all([1, 2].map(() => readAll(open(`/api/answers/${id}`))))).toEqual([{ data: TEN_WORDS }, { data: TEN_WORDS }])
    expect(await readAll(open(`/api/answers/${id}`))).toEqual({ data: TEN_WORDS })
    const much = await sendJson<{ id: string }>('POST', '/api/answers', { prompt: 'much' })
    const reading = readAll(open(`/api/answers/${much.id}`))
    await readAll(open(`/api/answers/${much.id}`, { until: () => true }))
    await send('DELETE', `/api/answers/${much.id}`)
    const { data, code } = await reading
    expect([data.length < 2_000, code]).toEqual([true, 'ABORTED'])
  })

  it('ai-streaming: an OpenAI-compatible stream is there for each viewer, and is stopped, refused or cut with its code', async () => {
    const ask = async (prompt: string) => (await sendJson<{ id: string }>('POST', '/api/completions', { prompt })).id
    const read = async (id: string) => {
      const { data, code } = await readAll(open<CompletionChunk>(`/api/completions/${id}`))
      return { words: data.map(({ choices }) => choices[0]!.delta.content), code }
    }
    const id = await ask('Why?')
    expect(await Promise.all([read(id), read(id)])).toEqual([{ words: TEN_WORDS }, { words: TEN_WORDS }])
    expect(await read(id)).toEqual({ words: TEN_WORDS })
    expect(api.asked).toBe(1)

    const much = await ask('much')
    await readAll(open(`/api/completions/${much}`, { until: () => true }))
    const reading = read(much)
    await send('DELETE', `/api/completions/${much}`)
    const { words, code } = await reading
    expect([words.length < 2_000, code]).toEqual([true, 'ABORTED'])
    await eventually(() => expect([api.asked, api.cancelled]).toEqual([2, 1]))

    expect(await read(await ask('fail'))).toEqual({ words: [], code: 'SOURCE_FAILED' })
    expect(await read(await ask('cut'))).toEqual({ words: ['word1 '], code: 'SOURCE_FAILED' })
    expect(await readAll(open('/api/completions/none'))).toMatchObject({ data: [], code: 'HTTP_ERROR' })
    const refused = open(`/api/completions/${await ask('fail')}`)
    await readAll(refused)
    expect(refused.error!.message).not.toContain('sk-secret')
  })

  it('README: a reply is complete for each reader, and a later prompt restarts it', async () => {
    const readTwice = () => Promise.all([1, 2].map(() => readAll(open('/api/reply'))))
    await send('POST', '/api/reply', { prompt: 'Why?' })
    expect(await readTwice()).toEqual([{ data: TEN_WORDS }, { data: TEN_WORDS }])
    await send('POST', '/api/reply', { prompt: 'fail' })
    const failed = { data: ['word1 '], code: 'SOURCE_FAILED' }
    expect(await readTwice()).toEqual([failed, failed])
  })

  it('ai-streaming: chunks that are not text have a name', async () => {
    const names: (string | undefined)[] = []
    for await (const { event } of open('/api/agent', post({ prompt: 'Why?' }))) names.push(event)
    expect(names).toEqual(['tool', undefined, 'usage'])
  })

  it('job-progress: to its end; a job that never started is an HTTP error', async () => {
    const { id } = await sendJson<{ id: string }>('POST', '/api/exports')
    expect(await readAll(open(`/api/exports/${id}`))).toEqual({ data: [25, 50, 75, 100].map((percent, n) => ({ percent, step: ['Reading', 'Sorting', 'Writing', 'Packing'][n] })) })
    expect(await readAll(open('/api/exports/never'))).toMatchObject({ data: [], code: 'HTTP_ERROR' })
  })

  it('job-progress: until a user cancels it', async () => {
    const { id } = await sendJson<{ id: string }>('POST', '/api/exports')
    await send('DELETE', `/api/exports/${id}`)
    expect(await readAll(open(`/api/exports/${id}`))).toMatchObject({ code: 'ABORTED' })
  })

  it('notifications: a retry with the same key notifies once, and an announcement comes on the same connection', async () => {
    for (const text of ['first', 'first', 'last']) await send('POST', '/api/comments', { id: text, text, author: '1' })
    await send('POST', '/api/announcements', { title: 'All' })
    const seen: Record<string, string[]> = {}
    for await (const { channel, data } of open<{ title: string }>('/api/inbox')) {
      (seen[channel!] ??= []).push(data.title)
      if (Object.values(seen).flat().length === 3) break
    }
    expect(seen).toEqual({ own: ['1: first', '1: last'], all: ['All'] })
    const { data } = await readAll(open<{ title: string }>('/api/inbox', { channel: 'all', until: () => true }))
    expect(data).toEqual([{ title: 'All' }])
  })

  it('job-progress: the bars of many jobs come on one connection', async () => {
    const jobs = await Promise.all([1, 2].map(() => sendJson<{ id: string }>('POST', '/api/exports')))
    const last: Record<string, number> = {}
    for await (const { channel, data } of open<{ percent: number }>(`/api/exports?ids=${jobs.map(({ id }) => id).join()}`)) last[channel!] = data.percent
    expect(last).toEqual(Object.fromEntries(jobs.map(({ id }) => [`e${id.replaceAll('-', '').slice(0, 31)}`, 100])))
    expect(await readAll(open('/api/exports?ids=none'))).toMatchObject({ code: 'HTTP_ERROR' })
  })

  it('presence: the tabs of one browser are one visitor, by a cookie that the stream sets', async () => {
    const tab = new AbortController()
    const visit = async () => (await fetch(`${server.url}/api/visitors`, { signal: tab.signal })).headers.getSetCookie()[0]!.split(';')[0]!
    const [cookie, other] = [await visit(), await visit()]
    const ids = [cookie, other].map(one => one.split('=')[1]!)
    expect(new Set(ids).size).toBe(2)
    let members: SSEPresenceMember[] = []
    for await (const message of open<SSEPresenceMessage>('/api/visitors', { headers: { cookie } })) {
      members = reduceSSEPresence(members, message)
      if (members.length === 2) break
    }
    expect(members.map(({ id }) => id).sort()).toEqual(ids.sort())
    tab.abort()
  })

  it('filter-per-reader: each reader has its selection, and resumes; it cannot be polled', async () => {
    const offer = (title: string, region: string) => send('POST', '/api/offers', { title, price: 1, region })
    for (const [title, region] of [['a', 'north'], ['b', 'south'], ['c', 'north']] as const) await offer(title, region)
    const read = (region: string, last: string, position?: string) => readAll(open<{ title: string }>(`/api/offers?region=${region}`, { position, until: ({ data }) => data.title === last }))
    expect([await read('north', 'c'), await read('south', 'b')]).toEqual([{ data: [{ title: 'a', price: 1 }, { title: 'c', price: 1 }] }, { data: [{ title: 'b', price: 1 }] }])
    const source = open<{ title: string }>('/api/offers?region=north', { until: () => true })
    await readAll(source)
    expect(await read('north', 'c', source.position)).toEqual({ data: [{ title: 'c', price: 1 }] })
    expect(await readAll(open('/api/offers?region=north', { position: 'elsewhere.7', until: () => true }))).toEqual({ data: [true] })
    expect((await send('GET', '/api/offers?region=north&transport=poll')).status).toBe(406)
  })

  it('many-channels: a message for the members of a team is stored once for each of them', async () => {
    for (let n = 0; n < 2; n++) expect((await send('POST', '/api/teams/1/notices', { title: 'Team', key: 'team', members: ['1', '2'] })).status).toBeLessThan(300)
    const own: string[] = []
    for await (const { data } of open<{ title: string }>('/api/inbox', { channel: 'own', position: -2 })) {
      own.push(data.title)
      if (data.title === 'Team') break
    }
    expect(own.filter(title => title === 'Team')).toHaveLength(1)
  })

  it('live-feeds: begins with its first reader', async () => {
    expect((await readAll(open('/api/prices', { until: () => true }))).data).toEqual([{ symbol: 'SSE', price: 42 }])
  })

  it('authentication: signing out everywhere ends all sign-ins and streams of one user, and none of another', async () => {
    const signIn = async (name: string) => ({ cookie: (await send('POST', '/api/sign-in', { name, password: '' })).headers.getSetCookie()[0]!.split(';')[0]! })
    const status = async (path: string, headers: HeadersInit) => {
      const controller = new AbortController()
      const response = await fetch(server.url + path, { headers, signal: controller.signal })
      controller.abort()
      return response.status
    }
    const [one, sameUser, other] = [await signIn('1'), await signIn('1'), await signIn('2')]
    const stream = open('/api/notices/stream', { headers: one })
    const ends = readAll(stream)
    const continues = open('/api/notices/stream', { headers: other })
    void readAll(continues)
    await eventually(() => expect([stream.status, continues.status]).toEqual(['connected', 'connected']))
    const { headers: cleared } = await fetch(`${server.url}/api/sign-out-everywhere`, { method: 'POST', headers: one })
    // The browser that asked loses its session, and the others find theirs revoked.
    expect(cleared.getSetCookie().some(cookie => cookie.startsWith('nuxt-session=;'))).toBe(true)
    expect(await Promise.all([sameUser, other].map(headers => status('/api/_auth/session', headers)))).toEqual([401, 200])
    expect((await ends).code).toBe('DISCONNECTED')
    expect(continues.status).toBe('connected')
    continues.close()
    expect(await Promise.all([one, sameUser, other].map(headers => status('/api/notices/stream', headers)))).toEqual([401, 401, 200])
  })

  it('redis: the health check', async () => {
    expect(await sendJson('GET', '/health')).toEqual({ driver: 'memory' })
  })

  it('migrating: a broker\'s message reaches its readers', async () => {
    const reading = open<{ text: string }>('/events', { position: 'start', until: () => true })
    await send('POST', '/events', { text: 'Hello' })
    expect(await readAll(reading)).toEqual({ data: [{ text: 'Hello' }] })
  })

  it('progressive-enhancement: one route streams, is polled and takes a form', async () => {
    const answer = await fetch(`${server.url}/api/votes`, { method: 'POST', headers: { accept: 'text/html' }, body: new URLSearchParams({ option: 'tea' }), redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/votes'])
    expect(await sendJson('POST', '/api/votes', { option: 'tea' })).toEqual({ option: 'tea' })
    expect(await sendJson('GET', '/api/votes?transport=poll')).toMatchObject({ type: 'batch', messages: [{ data: { option: 'tea' } }, { data: { option: 'tea' } }] })
    expect((await readAll(open('/api/votes', { until: () => true }))).data).toEqual([{ option: 'tea' }])
    expect(await (await fetch(`${server.url}/votes`)).text()).toContain('tea: 2')
  })

  it('moving: a message sent in a room arrives there', async () => {
    const reading = open<{ text: string }>('/api/rooms/lobby', { position: 'start', until: () => true })
    await send('POST', '/api/rooms/lobby', { text: 'Hello' })
    expect(await readAll(reading)).toEqual({ data: [{ text: 'Hello' }] })
  })

  it('the pages show it, from the first paint on, without console output', async () => {
    const browser = await launchBrowser()
    try {
      const page = await browser.newPage()
      const said: string[] = []
      page.on('console', message => said.push(message.text()))
      page.on('pageerror', error => said.push(String(error)))
      const body = page.locator('body')
      const shows = (text: string) => eventually(async () => expect((await body.textContent())!.replaceAll(/\s+/g, ' ')).toContain(text))

      await page.goto(`${server.url}/guests`)
      await shows('connected')
      await page.getByLabel('Your name').fill('Hedy')
      await page.getByRole('button', { name: 'Sign' }).click()
      await shows('Hedy')

      await page.goto(`${server.url}/search`)
      await page.getByLabel('Words').fill('one two')
      await page.getByLabel('Words').press('Enter')
      await shows('closed: one, two')

      await page.goto(`${server.url}/ask`)
      await page.getByLabel('Question').fill('Why?')
      await page.getByRole('button', { name: 'Ask' }).click()
      await shows(TEN_WORDS.join('').trim())

      const plain = await (await browser.newContext({ javaScriptEnabled: false })).newPage()
      await plain.goto(`${server.url}/votes`)
      await plain.getByRole('button', { name: 'coffee' }).click()
      await eventually(async () => expect(await plain.locator('body').textContent()).toContain('coffee: 1'))
      await page.goto(`${server.url}/votes`)
      await page.getByRole('button', { name: 'coffee: 1' }).click()
      await shows('coffee: 2')

      const { id } = await sendJson<{ id: string }>('POST', '/api/answers', { prompt: 'much' })
      await page.goto(`${server.url}/answers/${id}`)
      await page.getByRole('button', { name: 'Stop' }).click()
      await shows('Stopped.')

      const completion = await sendJson<{ id: string }>('POST', '/api/completions', { prompt: 'much' })
      await page.goto(`${server.url}/completions/${completion.id}`)
      await shows('word3 word4')
      await page.reload()
      await shows('word1 word2 word3 word4')
      await page.getByRole('button', { name: 'Stop' }).click()
      await shows('Stopped.')

      await page.goto(`${server.url}/chats/1`)
      await page.getByLabel('Question').fill('Why?')
      await page.getByRole('button', { name: 'Ask' }).click()
      await shows(TEN_WORDS.join('').trim())
      await page.getByRole('button', { name: 'Ask' }).waitFor()

      const job = await sendJson<{ id: string }>('POST', '/api/exports')
      await readAll(open(`/api/exports/${job.id}`))
      expect(await (await fetch(`${server.url}/exports/${job.id}`)).text()).toContain('Done.')
      await page.goto(`${server.url}/exports/${job.id}`)
      await shows('Done.')
      expect(await page.getByLabel('Progress').getAttribute('value')).toBe('100')
      expect(said).toEqual([])
    }
    finally {
      await browser.close()
    }
  })

  it('notifications: a layout keeps the connection from page to page, and unread notices are counted from the position of the last visit', async () => {
    const notify = (text: string) => send('POST', '/api/comments', { id: text, text, author: '1' })
    await notify('before')
    const browser = await launchBrowser()
    try {
      const page = await browser.newPage()
      const connections: string[] = []
      page.on('request', request => request.url().includes('/api/inbox') && !request.url().includes('transport=poll') && connections.push(request.url()))
      const shows = (text: string) => eventually(async () => expect((await page.locator('body').textContent())!.replaceAll(/\s+/g, ' ')).toContain(text))
      await page.goto(`${server.url}/one`)
      await eventually(async () => expect(await page.locator('body').textContent()).toMatch(/[1-9]\d* unread/))
      await page.getByRole('button', { name: 'unread' }).click()
      await shows(' 0 unread')
      await notify('after')
      await shows(' 1 unread')
      for (const name of ['two', 'one']) {
        await page.getByRole('link', { name: `To ${name}` }).click()
        await shows(`Page ${name} 1 unread`)
      }
      expect(connections).toHaveLength(1)
      await page.reload()
      await shows('Page one 1 unread')
    }
    finally {
      await browser.close()
    }
  })

  it('testing: a stream that Playwright mocks ends with `end`, or with an error; with anything else the page reconnects', async () => {
    const { mockNotices } = await import(join(app, 'test/e2e/mock-notices.ts')) as { mockNotices: (page: Page, titles: string[]) => Promise<void> }
    const browser = await launchBrowser()
    try {
      const page = await browser.newPage()
      const shows = (...texts: string[]) => eventually(async () => expect((await page.locator('body').textContent())!).toMatch(new RegExp(texts.join('.*'), 's')))
      const NOTICES = /\/api\/notices(?:\?|$)/
      await mockNotices(page, ['Hello', 'Goodbye'])
      await page.goto(`${server.url}/notices`)
      await shows('closed', 'Hello', 'Goodbye')

      // The blocks of the docs page.
      const block = (data: object, event = 'event: sse\n') => `${event}data: ${JSON.stringify(data)}\n\n`
      const text = await readPage('docs/guide/testing.md')
      const [open, end, error] = ['open', 'end', 'error'].map(type => block(JSON.parse(new RegExp(`\\{"type":"${type}".*?\\}`).exec(text)![0]))) as [string, string, string]
      for (const [last, shown] of [[end, 'closed'], [error, 'closed.*…'], ['', 'reconnecting']] as const) {
        let requests = 0
        await page.unroute(NOTICES)
        await page.route(NOTICES, (route) => {
          requests++
          return route.fulfill({ contentType: 'text/event-stream', body: open + block({ title: 'Raw' }, '') + last })
        })
        await page.goto(`${server.url}/notices`)
        await shows(shown, 'Raw')
        if (last) expect(requests).toBe(1)
        else await eventually(() => expect(requests).toBeGreaterThan(1))
      }
    }
    finally {
      await browser.close()
    }
  })

  it('reference: a custom error of the application reaches the client as it is', async () => {
    const source = open('/api/quota')
    expect(await readAll(source)).toEqual({ data: [{ left: 1 }], code: 'QUOTA' })
    expect(source.error).toMatchObject({ statusCode: 429, retry: false, message: 'That was the last one for today.' })
  })

  it('reference: a hand-written source resumes after the requested ID', async () => {
    const { data } = await readAll(open('/api/countdown', { position: '58', until: () => true }))
    expect(data).toEqual([{ left: 1 }])
  })
})
