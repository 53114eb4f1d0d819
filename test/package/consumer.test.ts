import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../support/built-server'
import { rootDir } from '../support/projects'
import { SSEReader } from '../support/read-sse'

const run = promisify(execFile)

/** An application as a newcomer writes it, outside the repository, with what npm would give them. */
const APP = {
  'nuxt.config.ts': `export default defineNuxtConfig({ modules: ['nuxt-sse'], sse: { heartbeatMs: 1000 }, compatibilityDate: '2026-11-01', telemetry: false })\n`,
  'tsconfig.json': JSON.stringify({ files: [], references: ['app', 'server', 'shared', 'node'].map(name => ({ path: `./.nuxt/tsconfig.${name}.json` })) }),
  'server/api/clock.get.ts': `export default defineSSEHandler(async function* () {\n  yield { now: new Date(0), n: 1 }\n  yield sseMessage({ percent: 5 }, { event: 'progress' })\n})\n`,
  'server/api/jobs/[id]/stream.get.ts': `interface Step { step: string }\nexport default defineSSEHandler(event => useSSEChannel<Step>(\`job:\${getRouterParam(event, 'id')}\`))\n`,
  'server/api/explicit.get.ts': `import { defineSSEHandler, SSEError, type SSEConnection } from '#sse/server'\nexport default defineSSEHandler((event, connection: SSEConnection<number>) => {\n  if (!connection) throw new SSEError('NEVER', 'never', { statusCode: 418 })\n  void connection.push(1).then(() => connection.close())\n})\n`,
  'server/plugins/watch.ts': `export default defineNitroPlugin(({ hooks }) => {\n  hooks.hook('sse:close', ({ reason, messages }) => {\n    const told: ['end' | 'error' | 'leave' | 'disconnect', number, number] = [reason, messages, useSSEStats().connections]\n    console.info(told)\n  })\n})\n`,
  'app/app.vue': `<script setup lang="ts">
import { openSSE } from 'nuxt-sse/client'

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
console.log(typeof openSSE)
</script>

<template>
  <p>{{ clock.status }} {{ job.status }} {{ own.status }} {{ pushed.status }}</p>
</template>
`,
}

let dir: string
let app: string
const npm = (args: string[], cwd: string) => run('npm', args, { cwd, maxBuffer: 1e8, env: { ...process.env, npm_config_workspaces: undefined } })

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-consumer-'))
  app = join(dir, 'app')
  await mkdir(app)
  await npm(['pack', '--pack-destination', dir], rootDir)
  const tarball = (await readdir(dir)).find(name => name.endsWith('.tgz'))!
  const { devDependencies } = JSON.parse(await readFile(join(rootDir, 'package.json'), 'utf8'))
  await writeFile(join(app, 'package.json'), JSON.stringify({
    name: 'consumer',
    private: true,
    type: 'module',
    dependencies: { 'nuxt': devDependencies.nuxt, 'nuxt-sse': `file:../${tarball}` },
    devDependencies: { 'typescript': devDependencies.typescript, 'vue-tsc': devDependencies['vue-tsc'] },
  }))
  for (const [path, text] of Object.entries(APP)) {
    await mkdir(dirname(join(app, path)), { recursive: true })
    await writeFile(join(app, path), text)
  }
  await npm(['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts'], app)
  await run(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'prepare'], { cwd: app })
})

afterAll(() => rm(dir, { recursive: true, force: true }))

describe('the packed tarball in a new application', () => {
  it('has what its exports name, and few dependencies', async () => {
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
    const port = await freePort()
    const server = spawn(process.execPath, ['.output/server/index.mjs'], { cwd: app, env: { ...process.env, HOST: '127.0.0.1', PORT: String(port), NODE_ENV: 'production' }, stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(server.stdout, 'data')
      const reader = await SSEReader.open(`http://127.0.0.1:${port}/api/clock`)
      await reader.finished
      expect(reader.messages).toMatchObject([{ data: { n: 1 } }, { event: 'progress', data: { percent: 5 } }])
      expect(reader.controls[0]).toEqual({ type: 'open', heartbeatMs: 1000 })
      const page = await (await fetch(`http://127.0.0.1:${port}/`)).text()
      expect(page).toContain('idle idle idle idle')
    }
    finally {
      server.kill()
      await once(server, 'exit')
    }
  })
})

describe('nuxt-sse/client', () => {
  it('has no Vue, Nuxt or Node in it', async () => {
    const client = join(app, 'node_modules/nuxt-sse/dist/runtime')
    const files = (await readdir(client, { recursive: true })).filter(name => /^(?:client|shared)\/.*\.js$/.test(name))
    expect(files.length).toBeGreaterThan(5)
    const imports = (await Promise.all(files.map(name => readFile(join(client, name), 'utf8')))).flatMap(text => [...text.matchAll(/from\s+["']([^."'][^"']*)["']/g)].map(([, name]) => name))
    expect(imports).toEqual([])
  })

  it('runs in plain Node', async () => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', 'import { openSSE } from "nuxt-sse/client"; console.log(typeof openSSE)'], { cwd: app })
    expect(stdout.trim()).toBe('function')
  })
})
