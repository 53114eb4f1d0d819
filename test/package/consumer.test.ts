import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { collectProblems, launchBrowser } from '../support/browser'
import { freePort } from '../support/built-server'
import { eventually } from '../support/conditions'
import { install, npmEnv } from '../support/install'
import { readBlocks, readPage } from '../support/markdown'
import { readQuickStart } from '../support/quick-start'
import { SSEReader } from '../support/read-sse'
import { versionsOf } from '../support/versions'

const run = promisify(execFile)

/** The files of `npm create nuxt@latest`. */
const EMPTY_APP = {
  'nuxt.config.ts': `// https://nuxt.com/docs/api/configuration/nuxt-config\nexport default defineNuxtConfig({\n  compatibilityDate: '2026-11-01',\n  devtools: { enabled: true },\n})\n`,
  'tsconfig.json': JSON.stringify({ files: [], references: ['app', 'server', 'shared', 'node'].map(name => ({ path: `./.nuxt/tsconfig.${name}.json` })) }),
  'app/app.vue': '<template>\n  <div>\n    <NuxtRouteAnnouncer />\n    <NuxtWelcome />\n  </div>\n</template>\n',
}

/** An application as a newcomer writes it, outside the repository, with the packages that npm would install. */
const APP = {
  'nuxt.config.ts': `export default defineNuxtConfig({ modules: ['nuxt-sse'], sse: { heartbeatMs: 1000 }, runtimeConfig: { failingDriver: false }, compatibilityDate: '2026-11-01', telemetry: false })\n`,
  'tsconfig.json': JSON.stringify({ files: [], references: [...['app', 'server', 'shared', 'node'].map(name => `./.nuxt/tsconfig.${name}.json`), './tsconfig.configs.json'].map(path => ({ path })) }),
  'tsconfig.configs.json': JSON.stringify({ extends: './.nuxt/tsconfig.node.json', include: ['configs', '.nuxt/nuxt.node.d.ts'] }),
  'configs/mistakes.ts': `import { defineNuxtConfig } from 'nuxt/config'
export default defineNuxtConfig({ sse: { from: 'now', redis: { url: 'redis://localhost' }, retention: { maxMessages: 5 } } })
// @ts-expect-error a value that is none of those
export const from = defineNuxtConfig({ sse: { from: 'middle' } })
// @ts-expect-error a duration is a number
export const heartbeat = defineNuxtConfig({ sse: { heartbeatMs: '15s' } })
// @ts-expect-error there is no such driver
export const driver = defineNuxtConfig({ sse: { driver: 'kafka' } })
`,
  'server/utils/driver.ts': `import { createFailingDriver } from 'nuxt-sse/test'\nexport const driver = createFailingDriver()\n`,
  'server/plugins/driver.ts': `export default defineNitroPlugin(() => {\n  if (useRuntimeConfig().failingDriver) setSSEDriver(driver)\n})\n`,
  'server/api/driver.post.ts': `import type { FailingMethod } from 'nuxt-sse/test'\nexport default defineEventHandler(async (event) => {\n  const { fail } = await readBody<{ fail?: FailingMethod | 'all' }>(event)\n  if (fail) driver.fail(fail)\n  else driver.heal()\n  return { failed: driver.failed }\n})\n`,
  'server/api/clock.get.ts': `export default defineSSEHandler(async function* () {\n  yield { now: new Date(0), n: 1 }\n  yield sseMessage({ percent: 5 }, { event: 'progress' })\n})\n`,
  'server/api/jobs/[id]/stream.get.ts': `interface Step { step: string }\nexport default defineSSEHandler(event => useSSEChannel<Step>(\`job:\${getRouterParam(event, 'id')}\`))\n`,
  'shared/channels.ts': `import { defineSSEChannel } from 'nuxt-sse/publisher'
import type { SSESchema } from 'nuxt-sse/publisher'

const percent: SSESchema<{ percent: string }, { percent: number }> = { '~standard': { version: 1, vendor: 'own', validate: value => ({ value: { percent: Number((value as { percent: string }).percent) } }) } }
const text: SSESchema<string> = { '~standard': { version: 1, vendor: 'own', validate: value => ({ value: String(value) }) } }

export const job = defineSSEChannel((id: string) => \`defined:\${id}\`, { events: { progress: percent, log: text } })
`,
  'server/api/defined/[id].get.ts': `import { job } from '../../../shared/channels'\nexport default defineSSEHandler(event => job(getRouterParam(event, 'id')!))\n`,
  'server/api/defined/[id].post.ts': `import { job } from '../../../shared/channels'\nexport default defineEventHandler(async (event) => {\n  // @ts-expect-error the name is misspelt\n  await job('x').publish('x', { event: 'lag' }).catch(() => {})\n  return job(getRouterParam(event, 'id')!).publish({ percent: '5' }, { event: 'progress' })\n})\n`,
  'server/api/explicit.get.ts': `import { defineSSEHandler, SSEError, type SSEConnection } from '#sse/server'\nexport default defineSSEHandler((event, connection: SSEConnection<number>) => {\n  if (!connection) throw new SSEError('NEVER', 'never', { statusCode: 418 })\n  void connection.push(1).then(() => connection.close())\n})\n`,
  'server/plugins/watch.ts': `export default defineNitroPlugin(({ hooks }) => {\n  hooks.hook('sse:close', ({ reason, messages }) => {\n    const told: ['end' | 'error' | 'leave' | 'disconnect', number, number] = [reason, messages, useSSEStats().connections]\n    console.info(told)\n  })\n})\n`,
  'app/app.vue': `<script setup lang="ts">
import { openSSE } from 'nuxt-sse/client'
import type { job as jobChannel } from '../shared/channels'

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
const assert = <T extends true>(_?: T) => {}

const clock = useSSE('/api/clock', { ssr: true })
assert<Equals<typeof clock.data.value, { now: string, n: number } | { percent: number } | undefined>>()
clock.on('progress', ({ data }) => assert<Equals<typeof data, { percent: number }>>())
clock.on('message', ({ data }) => assert<Equals<typeof data, { now: string, n: number }>>())
const last = clock.message.value
if (last?.event === 'progress') assert<Equals<typeof last.data, { percent: number }>>()
const percent = useSSE('/api/clock', { immediate: false, initial: 0, reduce: (last, message) => message.event ? message.data.percent : last, on: { progress: ({ data }) => assert<Equals<typeof data, { percent: number }>>() } })
assert<Equals<typeof percent.data.value, number>>()
const id = 42
const job = useSSE(\`/api/jobs/\${id}/stream\`, { immediate: false })
assert<Equals<typeof job.data.value, { step: string } | undefined>>()
const own = useSSE<{ own: boolean }>('/api/clock', { immediate: false })
assert<Equals<typeof own.data.value, { own: boolean } | undefined>>()
const pushed = useSSE('/api/explicit', { immediate: false })
assert<Equals<typeof pushed.data.value, number | undefined>>()
// @ts-expect-error: no route has this name.
useSSE('/api/clocks', { immediate: false })
// @ts-expect-error: the route names its events.
useSSE('/api/clock', { immediate: false, on: { progres: () => {} } })
// @ts-expect-error: it takes no ref.
useSSE('/api/clock', { immediate: false, keep: ref(3) })
const defined = useSSE(\`/api/defined/\${id}\`, { immediate: false })
assert<Equals<typeof defined.data.value, { percent: number } | string | undefined>>()
defined.on('progress', ({ data }) => assert<Equals<typeof data, { percent: number }>>())
assert<Equals<Parameters<typeof jobChannel>, [id: string]>>()
console.log(typeof openSSE)
</script>

<template>
  <p>{{ clock.status }} {{ job.status }} {{ own.status }} {{ pushed.status }}</p>
</template>
`,
}

/** Model of the AI SDK that answers every question with one word. */
const CHAT_MODEL = `import { simulateReadableStream } from 'ai'
import { MockLanguageModelV4 } from 'ai/test'

export const model = new MockLanguageModelV4({
  doStream: async () => ({
    stream: simulateReadableStream({
      chunks: [
        { type: 'text-start', id: '1' },
        { type: 'text-delta', id: '1', delta: 'Because.' },
        { type: 'text-end', id: '1' },
        { type: 'finish', finishReason: { unified: 'stop', raw: undefined }, usage: { inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined }, outputTokens: { total: 1, text: 1, reasoning: undefined } } },
      ],
    }),
  }),
})
`

let dir: string
let app: string
let emptyApp: string
const tarball = inject('tarball')

async function writeFiles(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
}

interface Running { url: string, output: () => string, stop: () => Promise<void> }

/** Starts a server command, with all its processes, and waits until it serves. */
async function serve(command: string, args: string[], cwd: string, extra: Record<string, string> = {}): Promise<Running> {
  const port = await freePort()
  const child = spawn(command, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...npmEnv, HOST: '127.0.0.1', PORT: String(port), NUXT_TELEMETRY_DISABLED: '1', TEST: undefined, VITEST: undefined, NODE_ENV: undefined, ...extra } })
  const exited = once(child, 'exit')
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => output += chunk)
  const url = `http://127.0.0.1:${port}`
  try {
    await eventually(async () => expect((await fetch(url)).status, output).toBe(200), 90_000)
  }
  catch (error) {
    process.kill(-child.pid!)
    throw error
  }
  return { url, output: () => output, async stop() {
    process.kill(-child.pid!)
    await exited
  } }
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-consumer-'))
  app = join(dir, 'app')
  emptyApp = join(dir, 'empty-app')
  const manifest = { private: true, type: 'module', scripts: { build: 'nuxt build', dev: 'nuxt dev' }, dependencies: await versionsOf('nuxt') }
  await writeFiles(emptyApp, { ...EMPTY_APP, 'package.json': JSON.stringify({ name: 'my-app', ...manifest }) })
  await install(emptyApp)
  // All of it again would be another minute.
  await run('cp', ['-al', emptyApp, app])
  for (const path of Object.keys(EMPTY_APP)) await rm(join(app, path))
  await rm(join(app, 'package.json'))
  const quickStart = await readQuickStart()
  await writeFiles(app, { ...APP, 'server/api/quick-start.get.ts': quickStart.files['server/api/clock.get.ts']!, 'package.json': JSON.stringify({
    name: 'consumer',
    ...manifest,
    dependencies: { ...manifest.dependencies, 'nuxt-sse': `file:${tarball}` },
    devDependencies: await versionsOf('typescript', 'vue-tsc'),
  }) })
  await install(app)
  await run(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'prepare'], { cwd: app })
})

afterAll(() => rm(dir, { recursive: true, force: true }))

describe('the packed tarball in a new application', () => {
  it('has all files that its exports name, and few dependencies', async () => {
    const installed = join(app, 'node_modules/nuxt-sse')
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
    for (const { types, import: file } of Object.values<{ types: string, import: string }>(manifest.exports)) {
      expect(existsSync(join(installed, types)), types).toBe(true)
      expect(existsSync(join(installed, file)), file).toBe(true)
    }
    expect(Object.keys(manifest.dependencies)).toEqual(['@nuxt/kit', '@vueuse/core', 'eventsource-parser', 'jose'])
  })

  it('type-checks, and infers messages from routes', async () => {
    await run(process.execPath, ['node_modules/vue-tsc/bin/vue-tsc.js', '-b', '--noEmit'], { cwd: app }).catch((error) => {
      throw new Error(error.stdout)
    })
  })

  it('builds and streams, without Redis or tickets in the output', async () => {
    await run(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'build'], { cwd: app })
    for (const unused of ['ioredis', 'jose']) expect(existsSync(join(app, '.output/server/node_modules', unused)), unused).toBe(false)
    const server = await serve(process.execPath, ['.output/server/index.mjs'], app, { NODE_ENV: 'production' })
    try {
      const reader = await SSEReader.open(`${server.url}/api/clock`)
      await reader.finished
      expect(reader.messages).toMatchObject([{ data: { n: 1 } }, { event: 'progress', data: { percent: 5 } }])
      expect(reader.controls[0]).toEqual({ type: 'open', heartbeatMs: 1000, restarts: true })
      // Defined outside of the server, through the entry for workers: the channels are the server's all the same.
      expect(await (await fetch(`${server.url}/api/defined/7`, { method: 'POST' })).text()).toMatch(/\.1$/)
      await using defined = await SSEReader.open(`${server.url}/api/defined/7`)
      await defined.until(({ messages }) => messages.length === 1)
      expect(defined.messages).toMatchObject([{ event: 'progress', data: { percent: 5 } }])
      const page = await (await fetch(server.url)).text()
      expect(page).toContain('idle idle idle idle')
      // The tab of Nuxt DevTools, which this application has in development: a page of its own, like any other path.
      for (const path of ['/__sse', '/__sse/state', '/__sse/main.js']) expect(await (await fetch(server.url + path)).text()).toContain('idle idle idle idle')
    }
    finally {
      await server.stop()
    }
  })

  it('contains no development code in a build', async () => {
    const files = (await readdir(join(app, '.output'), { recursive: true, withFileTypes: true })).filter(file => file.isFile() && !file.parentPath.includes('node_modules'))
    expect(files.length).toBeGreaterThan(10)
    for (const { parentPath, name } of files) {
      // The probe is for production, and the only route below the tab's path that is.
      const text = (await readFile(join(parentPath, name), 'utf8')).replaceAll('/__sse/probe', '')
      for (const mark of ['/__sse', 'sse-devtools', 'sseDevtools', 'DevtoolsSnapshot', 'tapConnections', 'channels-title', 'MutationObserver(follow)']) expect(text.includes(mark), `${name}: ${mark}`).toBe(false)
    }
  })

  it('takes a driver that fails on command, and its errors have their class', async () => {
    const server = await serve(process.execPath, ['.output/server/index.mjs'], app, { NODE_ENV: 'production', NUXT_FAILING_DRIVER: 'true' })
    const tell = async (body: object) => (await fetch(`${server.url}/api/driver`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).json()
    try {
      expect(await tell({ fail: 'all' })).toEqual({ failed: 0 })
      const refused = await fetch(`${server.url}/api/jobs/1/stream`)
      expect([refused.status, await refused.json()]).toEqual([503, expect.objectContaining({ type: 'pending', message: expect.stringContaining('told to fail') })])
      // A channel is subscribed to and read at once.
      expect(await tell({})).toEqual({ failed: 2 })
      await using reader = await SSEReader.open(`${server.url}/api/jobs/1/stream`)
      await reader.until(({ controls }) => controls.length === 1)
    }
    finally {
      await server.stop()
    }
  })

  it('imports `ai` for its types only, and nowhere but in `nuxt-sse/ai`', async () => {
    const runtime = join(app, 'node_modules/nuxt-sse/dist/runtime')
    const importing = (await Promise.all((await readdir(runtime, { recursive: true })).filter(name => /\.(?:js|d\.ts)$/.test(name)).map(async name => /from ["']ai["']/.test(await readFile(join(runtime, name), 'utf8')) ? [name] : []))).flat()
    expect(importing.length).toBeGreaterThan(0)
    expect(importing.filter(name => !/^(?:server\/)?ai\/.*\.d\.ts$/.test(name))).toEqual([])
  })

  it('has the handler in the server, and the transport in the page, with `ai` installed: it type-checks, builds and answers', async () => {
    const blocks = [...readBlocks(await readPage('docs/guide/use-chat.md')), ...readBlocks(await readPage('docs/guide/ai-answers.md'))]
    const blockOf = (path: string) => blocks.find(({ file }) => file === path)!.text
    const files = {
      'server/api/chat.ts': blockOf('server/api/chat.ts'),
      'app/pages/index.vue': '<template>\n  <p>Home</p>\n</template>\n',
      'app/pages/chats/[id].vue': blockOf('app/pages/chats/[id].vue'),
      'app/utils/sentences-of.ts': blockOf('app/utils/sentences-of.ts'),
      'server/utils/model.ts': CHAT_MODEL,
    }
    await cp(join(app, 'app/app.vue'), join(app, 'app.vue.kept'))
    await writeFiles(app, { ...files, 'app/app.vue': '<template>\n  <NuxtPage />\n</template>\n' })
    const manifest = JSON.parse(await readFile(join(app, 'package.json'), 'utf8')) as { dependencies: object }
    await writeFiles(app, { 'package.json': JSON.stringify({ ...manifest, dependencies: { ...manifest.dependencies, ...await versionsOf('ai', '@ai-sdk/vue') } }) })
    await install(app)
    await run(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'prepare'], { cwd: app })
    await run(process.execPath, ['node_modules/vue-tsc/bin/vue-tsc.js', '-b', '--noEmit'], { cwd: app }).catch((error) => {
      throw new Error(error.stdout)
    })
    await run(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'build'], { cwd: app })
    const server = await serve(process.execPath, ['.output/server/index.mjs'], app, { NODE_ENV: 'production' })
    const browser = await launchBrowser()
    try {
      const page = await browser.newPage()
      const problems: string[] = []
      collectProblems(page, problems)
      await page.goto(`${server.url}/chats/1`, { waitUntil: 'networkidle' })
      await page.getByLabel('Question').fill('Why?')
      await page.getByRole('button', { name: 'Ask' }).click()
      await page.getByText('Because.').first().waitFor()
      expect(problems).toEqual([])
    }
    finally {
      await browser.close()
      await server.stop()
      await cp(join(app, 'app.vue.kept'), join(app, 'app/app.vue'))
      for (const path of Object.keys(files)) await rm(join(app, path))
    }
  })

  it('names the package to install where Redis is configured at run time, and its client is missing', async () => {
    const away = join(dir, 'away/.output')
    await cp(join(app, '.output'), away, { recursive: true })
    const server = await serve(process.execPath, [join(away, 'server/index.mjs')], dir, { NODE_ENV: 'production', NUXT_SSE_DRIVER: 'redis', NUXT_SSE_REDISURL: 'redis://127.0.0.1:6379' })
    try {
      // Before a channel is used: the log of the start looks fine otherwise.
      await eventually(() => expect(server.output()).toContain('Run `npm install ioredis`'))
      const refused = await fetch(`${server.url}/api/jobs/1/stream`)
      expect([refused.status, await refused.json()]).toEqual([503, expect.objectContaining({ type: 'pending' })])
      await eventually(() => expect(server.output()).toContain('No Redis URL is set'))
      expect(server.output()).toContain('Expected environment variables that match an option, got NUXT_SSE_REDISURL. These variables have no effect.')
    }
    finally {
      await server.stop()
    }
  })
})

describe('the quick start of the README', () => {
  it('is at most 3 commands and 12 lines, and ends in a live message in the browser', async () => {
    const { commands, files } = await readQuickStart()
    const lines = Object.values(files).flatMap(text => text.split('\n')).filter(line => line.trim() !== '')
    expect(commands.length).toBeLessThanOrEqual(3)
    expect(lines.length).toBeLessThanOrEqual(12)
    expect(commands.at(-1)).toBe('npm run dev')
    await writeFiles(emptyApp, files)
    for (const command of commands.slice(0, -1)) {
      // Two things differ from a newcomer's setup: the package comes from here, and everything else as it is locked.
      const [, ...args] = /^npm install (.*)$/.exec(command)!
      await install(emptyApp, { args: args.map(name => name === 'nuxt-sse' ? tarball : name) })
    }
    const server = await serve('npm', ['run', 'dev'], emptyApp)
    const browser = await launchBrowser()
    try {
      const page = await browser.newPage()
      const problems: string[] = []
      collectProblems(page, problems)
      await page.goto(server.url)
      const seen = new Set<string>()
      await eventually(async () => {
        const text = await page.locator('p').first().textContent() ?? ''
        if (/^connected: \d{4}-\d\d-\d\dT/.test(text)) seen.add(text)
        expect(seen.size, `${text}\n${server.output()}`).toBeGreaterThanOrEqual(2)
      }, 60_000)
      expect(problems).toEqual([])
      // The tab in Nuxt DevTools is included.
      expect(await (await fetch(`${server.url}/__sse/state`)).json()).toMatchObject({ connections: [{ path: '/api/clock' }] })
      expect(await (await fetch(`${server.url}/__sse`)).text()).toContain('src="/__sse/main.js"')
      expect(await (await fetch(`${server.url}/__sse/main.js`)).text()).toContain('new EventSource(')
      // Warnings of other packages are ignored.
      expect(server.output()).not.toMatch(/^.*sse.*(?:warn|error)|(?:warn|error).*sse.*$/im)
    }
    finally {
      await browser.close()
      await server.stop()
    }
  })
})

describe('nuxt-sse/client and nuxt-sse/test', () => {
  it('contain no Vue, Nuxt or Node', async () => {
    const client = join(app, 'node_modules/nuxt-sse/dist/runtime')
    const files = (await readdir(client, { recursive: true })).filter(name => /^(?:client|shared)\/.*\.js$/.test(name))
    expect(files.length).toBeGreaterThan(5)
    const imports = (await Promise.all(files.map(name => readFile(join(client, name), 'utf8')))).flatMap(text => [...text.matchAll(/from\s+["']([^."'][^"']*)["']/g)].map(([, name]) => name))
    expect(imports).toEqual([])
  })

  it('run in plain Node', async () => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', `
      import { openSSE } from 'nuxt-sse/client'
      import { collectSSE, createFailingDriver, mockSSE } from 'nuxt-sse/test'
      const driver = createFailingDriver()
      driver.fail('append')
      const failed = await driver.append('c', [{ data: '1' }], { maxMessages: 1, maxAgeMs: 1000, maxBytes: 1000 }).catch(error => error.code)
      const mock = mockSSE('/api/x')
      mock.message('mocked')
      mock.end()
      for await (const { data } of openSSE('http://test.invalid/api/x')) console.log(data)
      console.log(failed, await collectSSE('nowhere').catch(error => error.code))
    `], { cwd: app })
    expect(stdout.trim()).toBe('mocked\nDRIVER_UNAVAILABLE INVALID_OPTION')
  })
})
