import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { freePort } from '../support/built-server'
import { projects, rootDir } from '../support/projects'
import { SSEReader } from '../support/read-sse'
import { eventually } from '../support/conditions'
import { saveUntil } from '../support/save-until'

// As deep as the fixture itself, so that its paths to the module hold.
const dir = join(rootDir, 'test/fixtures/.dev')
let url: string
let child: ReturnType<typeof spawn>

beforeAll(async () => {
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  for (const name of ['app', 'server', 'nuxt.config.ts', 'package.json']) await cp(join(projects.basic, name), join(dir, name), { recursive: true })
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  child = spawn(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'dev', dir, '--port', String(port), '--host', '127.0.0.1', '--no-fork'], { cwd: rootDir, stdio: 'ignore', env: { ...process.env, NODE_ENV: 'development' } })
  await vi.waitFor(async () => expect((await fetch(`${url}/api/stats`, { signal: AbortSignal.timeout(10_000) })).status).toBe(200), { timeout: 200_000, interval: 100 })
}, 240_000)

afterAll(async () => {
  child.kill('SIGTERM')
  await once(child, 'exit')
  await rm(dir, { recursive: true, force: true })
})

// @guarantee dev-reload
it('a reload in development ends the old streams, and the next worker keeps only the key that signs tickets', async () => {
  const ticket = await (await fetch(`${url}/api/ticket/dev`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })).text()
  const reader = await SSEReader.open(`${url}/api/channel/dev`)
  await reader.until(r => r.controls.length === 1)
  expect(await (await fetch(`${url}/api/stats`)).json()).toEqual({ connections: 1, heartbeats: 1, channels: 1 })

  const file = join(dir, 'server/api/count.get.ts')
  await saveUntil(file, (await readFile(file, 'utf8')).replace('yield { n }', 'yield { n, reloaded: true }'), async () => {
    // A request that meets the change of workers may stay without an answer.
    const next = await SSEReader.open(`${url}/api/count?to=1`, { signal: AbortSignal.timeout(5_000) })
    await next.finished
    expect(next.data).toEqual([{ n: 1, reloaded: true }])
  })
  // Nitro's dev worker cuts its sockets before it calls the `close` hook: a drop, after which clients reconnect.
  await reader.finished
  await eventually(async () => expect(await (await fetch(`${url}/api/stats`)).json()).toEqual({ connections: 0, heartbeats: 0, channels: 0 }))
  // No secret is configured.
  expect(await (await fetch(`${url}/api/ticket?ticket=${ticket}`)).json()).toMatchObject({ channel: 'dev' })
}, 120_000)

it('streams through the development server without a delay', async () => {
  await using reader = await SSEReader.open(`${url}/api/count?to=1000&everyMs=20`, { headers: { 'accept-encoding': 'gzip, br' } })
  await reader.until(r => r.data.length >= 3)
  expect(reader.response.headers.get('content-encoding')).toBeNull()
})
