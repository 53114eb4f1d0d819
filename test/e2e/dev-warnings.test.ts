import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { useBrowser } from '../support/browser'
import { freePort } from '../support/built-server'
import { projects, rootDir } from '../support/projects'
import { eventually } from '../support/conditions'
import { SSEReader } from '../support/read-sse'
import { saveUntil } from '../support/save-until'

// As deep as the fixture itself, so that its paths to the module hold.
const dir = join(rootDir, 'test/fixtures/.dev-ssr')
let url: string
let child: ReturnType<typeof spawn>
let output = ''
const { open } = useBrowser()
let page: Page
let warnings: string[] = []

beforeAll(async () => {
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  for (const name of ['app', 'server', 'nuxt.config.ts', 'package.json']) await cp(join(projects.ssr, name), join(dir, name), { recursive: true })
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  // In a test environment it prints no warnings.
  child = spawn(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'dev', dir, '--port', String(port), '--host', '127.0.0.1', '--no-fork'], { cwd: rootDir, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_ENV: 'development', TEST: '', VITEST: '' } })
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', chunk => output += chunk)
  await vi.waitFor(async () => expect((await fetch(`${url}/api/stats`, { signal: AbortSignal.timeout(10_000) })).status).toBe(200), { timeout: 200_000, interval: 100 })
}, 240_000)

afterAll(async () => {
  child.kill('SIGTERM')
  await once(child, 'exit')
  await rm(dir, { recursive: true, force: true })
})

beforeEach(async () => {
  page = await open()
  page.on('console', (message) => {
    if (message.type() === 'warning' && message.text().startsWith('[nuxt-sse]')) warnings.push(message.text())
  })
  await page.goto(`${url}/mistakes`)
  // Vite may find more to bundle at the first visit, and reload the page: the buttons work when it is hydrated.
  await page.waitForFunction(() => (window as unknown as { useNuxtApp?: () => { isHydrating: boolean } }).useNuxtApp?.().isHydrating === false)
  warnings = []
})

it('warns once of a call that nothing will end', async () => {
  await page.click('#outside')
  await page.click('#outside')
  await eventually(async () => expect((await (await fetch(`${url}/api/stats`)).json()).connections).toBeGreaterThanOrEqual(2))
  // After its answer, all that the console had before has been reported.
  await page.evaluate(() => {})
  expect(warnings).toEqual([expect.stringMatching(/^\[nuxt-sse\] useSSE\('\/api\/channel\/outside'\) was called outside a component's setup: nothing will end its connection\./)])
})

// @guarantee six-connections
it('warns once of six streams over HTTP/1.1 to one origin', async () => {
  for (let n = 1; n <= 5; n++) await page.click('#more')
  await eventually(async () => expect(await page.locator('#reader5').textContent()).toContain('connected'))
  expect(warnings).toEqual([])
  await page.click('#more')
  await page.click('#more')
  await page.locator('#reader7').waitFor()
  await eventually(() => expect(warnings).toHaveLength(1))
  expect(warnings[0]).toContain(`6 streams are open to ${url}, which speaks HTTP/1.1`)
  expect(warnings[0]).toContain('share')
})

it.each([
  ['json', 'application/json', 'Return a generator or a channel from it'],
  ['html', 'text/html', 'no server route has this URL and method'],
])('reports a route that is no event stream but %s: the response, and the fix', async (button, type, advice) => {
  await page.click(`#${button}`)
  await eventually(() => expect(warnings).toHaveLength(1))
  expect(warnings[0]).toContain(`Expected text/event-stream, got ${type}`)
  expect(warnings[0]).toContain(advice)
})

it('reports a route that is not there', async () => {
  await page.click('#missing')
  await eventually(() => expect(warnings).toEqual([expect.stringMatching(/\/api\/missing answered 404: .*no server route has this URL and method/)]))
})

it('reports a handler that returns no source, in the browser and in the terminal', async () => {
  output = ''
  await page.click('#no-source')
  await eventually(() => expect(warnings).toEqual([expect.stringMatching(/^\[nuxt-sse\] \S*\/api\/no-source: Expected the handler to return an async iterable/)]))
  await eventually(() => expect(output).toContain('Expected the handler to return an async iterable'))
})

it('reports data that `ssr` cannot read, in the terminal, once', async () => {
  output = ''
  for (let n = 0; n < 2; n++) await (await fetch(`${url}/?url=/api/generator`)).text()
  await (await fetch(`${url}/?url=${encodeURIComponent('http://example.invalid/x')}`)).text()
  const said = () => output.split('\n').filter(line => line.includes('does nothing for'))
  await eventually(() => expect(said(), output).toHaveLength(2))
  expect(said()[0]).toContain('This route cannot be polled')
  expect(said()[1]).toContain('the server reads only routes of this application')
})

it('reports an invalid option of a handler: at once, for its own route, and the others keep working', async () => {
  output = ''
  const file = join(dir, 'server/api/no-sense.get.ts')
  await saveUntil(file, `export default defineSSEHandler(() => useSSEChannel('none'), { heartbeatMs: '5s' as never })\n`, () => expect(output).toMatch(/Expected \W*heartbeatMs\W* to be a whole number of milliseconds/))
  await eventually(async () => {
    const answer = await fetch(`${url}/api/no-sense`)
    expect([answer.status, (await answer.json()).data]).toEqual([500, { code: 'INVALID_OPTION', retry: false }])
  })
  for (const path of ['/mistakes', '/api/stats']) await eventually(async () => expect((await fetch(url + path, { signal: AbortSignal.timeout(5_000) })).status).toBe(200))
})

it('reports a handler that returns nothing, and could push nothing either: once', async () => {
  output = ''
  await saveUntil(join(dir, 'server/api/forgotten.get.ts'), `export default defineSSEHandler(() => {\n  useSSEChannel('forgotten')\n})\n`, async () => expect((await fetch(`${url}/api/forgotten`, { signal: AbortSignal.timeout(2_000) })).status).toBe(200))
  for (let n = 0; n < 2; n++) {
    await using reader = await SSEReader.open(`${url}/api/forgotten`)
    await reader.until(r => r.controls.length === 1)
  }
  await eventually(() => expect(output).toMatch(/GET \/api\/forgotten: the handler returned nothing and has no \W*connection/))
  expect(output.match(/returned nothing/g)).toHaveLength(1)
})

it('reports a preflight that no middleware and no route rule answers: once', async () => {
  output = ''
  for (let n = 0; n < 2; n++) {
    const response = await fetch(`${url}/api/channel/preflight`, { method: 'OPTIONS', headers: { 'origin': 'https://other.example', 'access-control-request-method': 'GET' } })
    expect(response.status).toBe(204)
  }
  await eventually(() => expect(output).toMatch(/a page of another origin sent a preflight request/))
  expect(output.match(/sent a preflight request/g)).toHaveLength(1)
})

it('reports a `disconnectSSE` that can find no stream, as no handler has a `clientKey`', async () => {
  output = ''
  await saveUntil(join(dir, 'server/api/sign-out.get.ts'), `export default defineEventHandler(async () => {\n  await disconnectSSE('nobody')\n  return { done: true }\n})\n`, async () => {
    const answer = await fetch(`${url}/api/sign-out`, { signal: AbortSignal.timeout(2_000) })
    expect(await answer.json()).toEqual({ done: true })
  })
  await eventually(() => expect(output).toMatch(/no SSE handler loaded so far has the option \W*clientKey/))
})

it('reports a channel that is returned to defineEventHandler as an error, instead of a request without an answer', async () => {
  await saveUntil(join(dir, 'server/api/stray.get.ts'), `export default defineEventHandler(() => useSSEChannel('stray') as unknown)\n`, async () => {
    const answer = await fetch(`${url}/api/stray`, { signal: AbortSignal.timeout(2_000) })
    expect(await answer.json()).toMatchObject({ statusCode: 500, message: expect.stringContaining('Expected a channel to be returned from `defineSSEHandler`'), data: { code: 'INVALID_SOURCE' } })
  })
})

it('reports a route rule that would cache the response of a stream, for that route alone', async () => {
  for (const path of ['/api/kept/stream', '/api/kept/stream?transport=poll']) {
    const answer = await fetch(url + path, { signal: AbortSignal.timeout(5_000) })
    expect(await answer.json()).toMatchObject({ statusCode: 500, message: expect.stringContaining(`'/api/kept/*': { cache: false }`), data: { code: 'INVALID_ROUTE_RULE' } })
  }
})

it('reports an import of the server\'s part into a page: the importer, and the replacement', async () => {
  await saveUntil(join(dir, 'app/pages/stray-import.vue'), `<script setup lang="ts">\nimport { useSSEChannel } from '#sse/server'\nconst { name } = useSSEChannel('stray')\n</script>\n\n<template>\n  <p>{{ name }}</p>\n</template>\n`, async () => expect(await (await fetch(`${url}/stray-import`, { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(10_000) })).json()).toMatchObject({
    statusCode: 500,
    message: expect.stringMatching(/`#sse\/server` can only be imported in `server\/`, but app\/pages\/stray-import\.vue imports it\. In the app, use `useSSE`/),
  }))
})
