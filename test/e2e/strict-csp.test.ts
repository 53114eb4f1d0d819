import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { useBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { freePort, startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'
import { readBlocks, readPage } from '../support/markdown'
import { rootDir } from '../support/projects'

/** The application of docs/recipes/strict-csp.md, under the strict policy of nuxt-security. */

const dir = join(rootDir, 'test/fixtures/.strict-csp')
const { open, problems } = useBrowser()
let config: string

const PAGE = (options: string) => `<script setup lang="ts">
const { data, status, transport } = useSSE('/api/quotes', ${options})
</script>

<template>
  <p>{{ status }} by {{ transport }}: {{ data?.price }}</p>
</template>
`

const FILES = {
  'package.json': '{ "name": "strict-csp", "private": true, "type": "module" }\n',
  'app/pages/poll.vue': PAGE('{ transports: [\'poll\'] }'),
  'app/pages/ssr.vue': PAGE('{ ssr: true }'),
  'server/api/stats.get.ts': 'export default defineEventHandler(() => useSSEStats())\n',
  'server/api/quotes.post.ts': 'export default defineEventHandler(async event => useSSEChannel(\'quotes\').publish(await readBody(event)))\n',
}

beforeAll(async () => {
  const files: Record<string, string> = { ...FILES }
  for (const { file, text } of readBlocks(await readPage('docs/recipes/strict-csp.md'))) if (file) files[file] = text
  config = files['nuxt.config.ts'] = files['nuxt.config.ts']!.replace('\'nuxt-sse\'', '\'../../../src/module\'').replace('modules:', 'compatibilityDate: \'2026-11-01\',\n  telemetry: false,\n  devtools: { enabled: false },\n  modules:')
  await rm(dir, { recursive: true, force: true })
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), text)
  }
})
afterAll(() => rm(dir, { recursive: true, force: true }))

/** Collects violations of the policy on a page, beside what its console shows. */
async function watch(page: Page): Promise<string[]> {
  const violations: string[] = []
  await page.exposeFunction('reportViolation', (text: string) => violations.push(text))
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) => {
    (window as unknown as { reportViolation: (text: string) => void }).reportViolation(`${location.pathname} ${violatedDirective}: ${blockedURI} ${sourceFile}`)
  }))
  return violations
}

describe('a built application', () => {
  let server: BuiltServer
  let price = 0

  beforeAll(async () => {
    await promisify(execFile)(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'build', dir], { cwd: rootDir, env: { ...process.env, NODE_ENV: 'production' } })
  })
  afterEach(stopBuiltServers)

  async function publish(): Promise<void> {
    const response = await fetch(`${server.url}/api/quotes`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ price: ++price }) })
    expect(response.status, await response.text()).toBe(200)
  }

  const shows = (page: Page, text: string) => eventually(async () => expect(await page.locator('p').innerText(), problems.join('\n')).toBe(text), 20_000)

  it.each([['quotes', 'stream'], ['poll', 'poll'], ['ssr', 'stream']])('has no violation on the page %s, which reads by %s', async (path, transport) => {
    server = await startBuiltServer({ dir })
    await publish()
    const page = await open()
    const violations = await watch(page)
    const response = await page.goto(`${server.url}/${path}`)
    const policy = response!.headers()['content-security-policy']!
    expect(policy).toContain('default-src \'none\'')
    expect(policy).toMatch(/script-src 'self' 'strict-dynamic' 'nonce-/)
    await shows(page, `connected by ${transport}: ${price}`)
    await publish()
    await shows(page, `connected by ${transport}: ${price}`)
    expect(violations).toEqual([])
    expect(problems).toEqual([])
  })

  it('shares one connection between tabs', async () => {
    server = await startBuiltServer({ dir })
    const first = await open()
    const second = await open(first.context())
    const violations = [await watch(first), await watch(second)]
    for (const page of [first, second]) await page.goto(`${server.url}/quotes`)
    await eventually(async () => expect(await second.locator('p').innerText()).toMatch(/^connected/))
    await publish()
    for (const page of [first, second]) await shows(page, `connected by stream: ${price}`)
    await eventually(async () => expect(await (await fetch(`${server.url}/api/stats`)).json()).toMatchObject({ connections: 1 }))
    expect([...violations.flat(), ...problems]).toEqual([])
  })
})

describe('in development', () => {
  it('the DevTools tab works in a frame of the page', async () => {
    await writeFile(join(dir, 'nuxt.config.ts'), config.replace('devtools: { enabled: false }', 'devtools: { enabled: true, disableAuthorization: true, telemetry: false }'))
    const port = await freePort()
    const url = `http://localhost:${port}`
    const child = spawn(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'dev', dir, '--port', String(port), '--host', 'localhost', '--no-fork'], { cwd: rootDir, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_ENV: 'development', TEST: '', VITEST: '' } })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => output += chunk)
    try {
      await eventually(async () => expect((await fetch(`${url}/__sse/state`, { signal: AbortSignal.timeout(10_000) })).status, output).toBe(200), 150_000)
      const page = await open()
      const violations = await watch(page)
      await page.goto(`${url}/quotes`)
      await eventually(async () => expect(await page.locator('p').innerText()).toMatch(/^connected/), 60_000)
      await page.evaluate(() => {
        const frame = document.createElement('iframe')
        frame.id = 'tab'
        // In its first five seconds, Vue's part of the DevTools puts an inline script into each frame that it finds.
        frame.dataset.vueDevtoolsIgnore = ''
        frame.src = '/__sse'
        document.body.append(frame)
      })
      await eventually(async () => expect(await page.frameLocator('#tab').locator('#connections').innerText()).toContain('/api/quotes'), 20_000)
      // Vite and Nuxt DevTools break the policy of the page themselves, with inline styles and scripts.
      expect(violations.filter(text => /^\/__sse|nuxt-sse|src\/runtime/.test(text))).toEqual([])
      const headers = (await fetch(`${url}/__sse`)).headers
      expect(headers.get('x-frame-options')).toBe('SAMEORIGIN')
      expect(headers.get('content-security-policy')).toContain('frame-ancestors \'self\'')
    }
    finally {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  }, 240_000)
})
