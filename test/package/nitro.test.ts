import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readBlocks, readPage } from '../support/markdown'
import { PackedApp } from '../support/packed-app'
import { SSEReader } from '../support/read-sse'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'
import { startIn, stopRuntimes } from '../support/runtimes'
import { versionsOf } from '../support/versions'
import { LOADED_MS } from '../support/conditions'

/** An application of Nitro 2 without Nuxt, as a newcomer writes it. */
const FILES = {
  'nitro.config.ts': `import { defineNitroConfig } from 'nitropack/config'

export default defineNitroConfig({ modules: ['nuxt-sse/nitro'], sse: { heartbeatMs: 1000, retention: { maxMessages: 10 } }, compatibilityDate: '2026-11-01' })
`,
  'tsconfig.json': JSON.stringify({ extends: './.nitro/types/tsconfig.json', compilerOptions: { types: ['node'], skipLibCheck: true } }),
  'routes/api/clock.get.ts': 'export default defineSSEHandler(async function* () {\n  yield { now: new Date(0), n: 1 }\n  yield sseMessage({ percent: 5 }, { event: \'progress\' })\n})\n',
  'routes/api/jobs/[id].get.ts': 'interface Step { step: string }\nexport default defineSSEHandler(event => useSSEChannel<Step>(getRouterParam(event, \'id\')!))\n',
  'routes/api/jobs/[id].post.ts': 'export default eventHandler(async event => ({ id: await useSSEChannel<{ step: string }>(getRouterParam(event, \'id\')!).publish(await readBody(event)) }))\n',
  'routes/api/explicit.get.ts': 'import { defineSSEHandler, SSEError, type SSEConnection } from \'#sse/server\'\n\nexport default defineSSEHandler((event, connection: SSEConnection<number>) => {\n  if (!connection) throw new SSEError(\'NEVER\', \'never\', { statusCode: 418 })\n  void connection.push(1).then(() => connection.close())\n})\n',
  'plugins/watch.ts': 'export default defineNitroPlugin(({ hooks }) => {\n  hooks.hook(\'sse:close\', ({ reason, messages }) => {\n    const told: [\'end\' | \'error\' | \'leave\' | \'disconnect\', number, number] = [reason, messages, useSSEStats().connections]\n    console.info(JSON.stringify(told))\n  })\n})\n',
  'types-proof.ts': `import type { InternalApi } from 'nitropack/types'

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
type DataOf<Route extends keyof InternalApi> = InternalApi[Route] extends { get: { __sse?: infer Message } } ? Message extends { data: infer Data } ? Data : never : never

export const proofs: [
  Equals<DataOf<'/api/clock'>, { now: string, n: number } | { percent: number }>,
  Equals<DataOf<'/api/jobs/:id'>, { step: string }>,
  Equals<DataOf<'/api/explicit'>, number>,
] = [true, true, true]
`,
}

/** The configuration that the documentation shows: it is type-checked with the rest. */
async function shownConfig(): Promise<string> {
  const shown = readBlocks(await readPage('docs/operate/runtimes.md')).find(({ file }) => file === 'nitro.config.ts')
  return shown!.text
}

let app: PackedApp
beforeAll(async () => {
  app = await PackedApp.create({ dependencies: await versionsOf('nitropack', 'ioredis', 'typescript', '@types/node'), files: { ...FILES, 'shown.config.ts': await shownConfig() } })
  await app.node('node_modules/nitropack/dist/cli/index.mjs', 'prepare')
})
afterAll(async () => {
  await stopRuntimes()
  await app.remove()
})

describe('the packed tarball in a Nitro application without Nuxt', () => {
  it('type-checks: its names, its options, its hooks, and the messages of routes', async () => {
    await app.node('node_modules/typescript/bin/tsc', '--noEmit')
  })

  it('refuses an invalid option at the build', async () => {
    await expect(app.node('--input-type=module', '-e', 'import { createNitro } from "nitropack"; await createNitro({ rootDir: ".", sse: { heartbeatMs: -1 } })')).rejects.toThrow('Expected `heartbeatMs` to be a whole number of milliseconds from 1 to 2147483647, or `false`, got `-1`.')
  })

  it('streams from its output, with options from the environment, and without Redis', async () => {
    await app.node('node_modules/nitropack/dist/cli/index.mjs', 'build')
    expect(existsSync(join(app.dir, '.output/server/node_modules/ioredis'))).toBe(false)
    const server = await startIn(join(app.dir, '.output'), { NITRO_SSE_RETRY_MS: '7000' })
    const reader = await SSEReader.open(`${server.url}/api/clock`)
    await reader.finished
    expect(reader.messages).toMatchObject([{ data: { n: 1 } }, { event: 'progress', data: { percent: 5 } }])
    expect(reader.controls[0]).toEqual({ type: 'open', heartbeatMs: 1000, restarts: true })
    expect(reader.retryMs).toBeGreaterThanOrEqual(3_500)
    const explicit = await SSEReader.open(`${server.url}/api/explicit`)
    await explicit.finished
    expect(explicit.data).toEqual([1])
    expect(server.output()).toContain('["end",2,0]')
    const open = await SSEReader.open(`${server.url}/api/jobs/1`)
    await open.until(({ controls }) => controls.length === 1)
    const { code, ms } = await server.stop('SIGTERM')
    expect(code).toBe(0)
    expect(ms).toBeLessThan(LOADED_MS)
    await open.finished
    expect(open.controls.at(-1)).toMatchObject({ type: 'leave' })
  })

  it('with Redis in its options, has its client in the output, and shares channels between processes', async () => {
    const redis: TestRedis = await startRedis()
    try {
      await app.node('--input-type=module', '-e', 'import { build, createNitro, prepare, copyPublicAssets } from "nitropack"; const nitro = await createNitro({ rootDir: ".", dev: false, sse: { driver: "redis" } }); await prepare(nitro); await copyPublicAssets(nitro); await build(nitro); await nitro.close()')
      expect(existsSync(join(app.dir, '.output/server/node_modules/ioredis'))).toBe(true)
      const [one, two] = await Promise.all([1, 2].map(() => startIn(join(app.dir, '.output'), { NITRO_SSE_REDIS_URL: redis.url })))
      await using reader = await SSEReader.open(`${one!.url}/api/jobs/shared`)
      await reader.until(({ controls }) => controls.length === 1)
      await fetch(`${two!.url}/api/jobs/shared`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"step":"done"}' })
      await reader.until(({ data }) => data.length === 1)
      expect(reader.data).toEqual([{ step: 'done' }])
    }
    finally {
      await stopRuntimes()
      await redis.stop()
    }
  })
})
