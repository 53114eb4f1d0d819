import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNitro, prepare, prerender } from 'nitropack/core'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { nitroProject } from '../support/projects'

/** `nuxt generate` prerenders with the same code. */
const ROUTES = { stream: '/api/count', finite: '/api/generator', raw: '/api/raw', channel: '/api/channel/x', poll: '/api/channel/x?transport=poll&waitMs=0', plain: '/api/told' }

let out: string
const said: string[] = []
const failed = new Map<string, string>()

beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'sse-prerender-'))
  vi.spyOn(console, 'error').mockImplementation((...args) => void said.push(args.join(' ')))
  const nitro = await createNitro({ rootDir: nitroProject, preset: 'node-server', logLevel: 0, buildDir: join(out, 'build'), output: { dir: join(out, 'output') }, prerender: { routes: Object.values(ROUTES), failOnError: false, crawlLinks: false } })
  nitro.hooks.hook('prerender:generate', ({ route, error }) => void (error && failed.set(route, String(error))))
  await prepare(nitro)
  await prerender(nitro)
  await nitro.close()
})
afterAll(async () => {
  vi.restoreAllMocks()
  await rm(out, { recursive: true, force: true })
})

it('prerendering refuses streams at once, also finite ones, and the error names the fix', async () => {
  const { plain, poll, ...refused } = ROUTES
  for (const route of Object.values(refused)) expect([route, failed.get(route)]).toEqual([route, expect.stringContaining('[501] A Stream Cannot Be Prerendered')])
  // A page with `ssr` reads by polling.
  expect([failed.get(plain), failed.get(poll)]).toEqual([undefined, undefined])
  expect(said.filter(line => line.includes('nitro.prerender.ignore'))).toHaveLength(Object.keys(refused).length)
  const files = await readdir(join(out, 'output/public'), { recursive: true })
  expect(files.filter(name => /count|generator|raw/.test(name))).toEqual([])
})
