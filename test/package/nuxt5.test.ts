import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { nuxt5Dir } from '../support/locked-packages'
import { PackedApp } from '../support/packed-app'
import { rootDir } from '../support/projects'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'
import { describeRuntime } from '../support/runtime-suite'
import { nuxtNightly, versionsOf } from '../support/versions'

/** The packed tarball in the nightly of Nuxt 5: types, build, and all requirements for a runtime. The routes are those of the Nitro 3 fixture. */

const FILES = {
  'nuxt.config.ts': `export default defineNuxtConfig({ modules: ['nuxt-sse'], sse: { retryMs: 100 }, compatibilityDate: '2026-11-01', telemetry: false })\n`,
  'tsconfig.json': JSON.stringify({ files: [], references: ['app', 'server', 'shared', 'node'].map(name => ({ path: `./.nuxt/tsconfig.${name}.json` })) }),
  'server/api/clock.get.ts': `import { defineSSEHandler, sseMessage } from '#sse/server'\n\nexport default defineSSEHandler(async function* () {\n  yield { now: new Date(0), n: 1 }\n  yield sseMessage({ percent: 5 }, { event: 'progress' })\n})\n`,
  'server/api/jobs/[id]/stream.get.ts': `import { getRouterParam } from 'nitro/h3'\nimport { defineSSEHandler, useSSEChannel } from '#sse/server'\n\ninterface Step { step: string }\nexport default defineSSEHandler(event => useSSEChannel<Step>(\`job:\${getRouterParam(event, 'id')}\`))\n`,
  'server/api/read.get.ts': `import { defineSSEHandler, useSSEChannel } from '#sse/server'\n\nexport default defineSSEHandler(async () => {\n  const channel = useSSEChannel<{ n: number }>('read')\n  if (!(await channel.info()).messages) await channel.publish({ n: 7 })\n  return channel\n})\n`,
  'app/app.vue': `<script setup lang="ts">
import { openSSE } from 'nuxt-sse/client'

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
const assert = <T extends true>(_?: T) => {}

const clock = useSSE('/api/clock', { immediate: false })
assert<Equals<typeof clock.data.value, { now: string, n: number } | { percent: number } | undefined>>()
clock.on('progress', ({ data }) => assert<Equals<typeof data, { percent: number }>>())
clock.on('message', ({ data }) => assert<Equals<typeof data, { now: string, n: number }>>())
const last = clock.message.value
if (last?.event === 'progress') assert<Equals<typeof last.data, { percent: number }>>()
const id = 42
const job = useSSE(\`/api/jobs/\${id}/stream\`, { immediate: false })
assert<Equals<typeof job.data.value, { step: string } | undefined>>()
const asked = useSSE('/api/jobs/42/stream?x=1', { immediate: false })
assert<Equals<typeof asked.data.value, { step: string } | undefined>>()
const chat = useSSE('/api/chat', { method: 'POST', body: { prompt: 'x' }, immediate: false })
assert<Equals<typeof chat.data.value, { word: string } | undefined>>()
const own = useSSE<{ own: boolean }>('/api/clock', { immediate: false })
assert<Equals<typeof own.data.value, { own: boolean } | undefined>>()
const foreign = useSSE('https://example.com/events', { immediate: false })
assert<Equals<typeof foreign.data.value, unknown>>()
// @ts-expect-error: a route that does not stream.
useSSE('/api/told', { immediate: false })
// @ts-expect-error: no route has this name.
useSSE('/api/clocks', { immediate: false })
// @ts-expect-error: the route names its events.
useSSE('/api/clock', { immediate: false, on: { progres: () => {} } })
// @ts-expect-error: it takes no ref.
useSSE('/api/clock', { immediate: false, keep: ref(3) })
// @ts-expect-error: a typed route is never any.
assert<Equals<typeof job.data.value, unknown>>()
const { data: seven } = useSSE('/api/read', { ssr: true })
console.info(typeof openSSE)
</script>

<template>
  <p>{{ clock.status }} {{ seven?.n }}</p>
</template>
`,
}

let app: PackedApp
let redis: TestRedis
beforeAll(async () => {
  const dependencies = { nuxt: await nuxtNightly(), ...await versionsOf('nitro', 'ioredis', 'typescript', 'vue-tsc') }
  app = await PackedApp.create({ dependencies, from: [join(rootDir, 'test/fixtures/nitro3')], files: FILES, lockedBy: nuxt5Dir })
  await app.node('node_modules/nuxt/bin/nuxt.mjs', 'prepare')
  await app.node('node_modules/nuxt/bin/nuxt.mjs', 'build')
  redis = await startRedis()
})
afterAll(async () => {
  await stopBuiltServers()
  await redis.stop()
  await app.remove()
})

const start = (env: Record<string, string> = {}) => startBuiltServer({ dir: app.dir }, { env })

describe('the packed tarball in the nightly of Nuxt 5', () => {
  it('type-checks, and infers messages from routes', async () => {
    await app.node('node_modules/vue-tsc/bin/vue-tsc.js', '-b', '--noEmit')
  })

  it('is built without Redis', () => {
    expect(existsSync(join(app.dir, '.output/server/node_modules/ioredis'))).toBe(false)
  })

  it('reads the messages of a channel while it renders a page', async () => {
    const server = await start()
    expect(await (await fetch(server.url)).text()).toContain('<p>idle 7</p>')
    await server.stop()
  })
})

describeRuntime({ name: 'Nuxt 5 on Node', start, envPrefix: 'NUXT', memory: true, redis: true, signals: true, noticesPollLeft: 'close' }, () => redis.url)
