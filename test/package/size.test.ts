import { execFile } from 'node:child_process'
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { afterAll, expect, it } from 'vitest'
import { rootDir } from '../support/projects'

/** Bytes that every page with `useSSE` loads for it before it connects, gzip. */
const MAX_BYTES = 8_005
/** Transport for `useChat` with the client that it is made of, gzip. The docs name it. */
const MAX_TRANSPORT_BYTES = 10_865
/** Bytes that only the pages load that need it, gzip: each on demand. */
const MAX_BYTES_ON_DEMAND: Record<string, number> = {
  'fallback/index': 5_005,
  'fallback/with-schemas': 6_285,
  'read-state': 945,
  'encode-body': 310,
  'sharing/shared-client': 3_800,
  'sharing/election': 820,
}

// Vue, VueUse and Nuxt's own composables are apart: the page without useSSE uses the same of them.
const PAGES = {
  with: `<script setup lang="ts">
const { data, status } = useSSE<{ n: number }>('/api/x', { ssr: true })
</script>`,
  without: `<script setup lang="ts">
import { tryOnScopeDispose } from '@vueuse/core'

const status = shallowRef('idle')
const data = computed(() => reactive<{ n?: number }>({ n: isRef(status) || isReactive(status) ? 1 : 2 }))
watch(status, () => {})
onMounted(() => {})
tryOnScopeDispose(() => {})
useNuxtApp()
useId()
onServerPrefetch(() => {})
getCurrentInstance()
</script>`,
}

const CONFIG = `import { writeFileSync } from 'node:fs'

export default defineNuxtConfig({
  modules: ['../../../src/module'],
  compatibilityDate: '2026-11-01',
  telemetry: false,
  hooks: { 'build:manifest': manifest => writeFileSync(new URL('manifest.json', import.meta.url), JSON.stringify(manifest)) },
})
`

const dirs: string[] = []
afterAll(() => Promise.all(dirs.map(dir => rm(dir, { recursive: true, force: true }))))

/** Texts that belong on the server only, or in development only. */
const NOT_IN_A_BROWSER = ['which a payload cannot hold', 'does nothing for', 'nothing will end its connection', 'has no effect', 'changed its first argument', 'speaks HTTP/1.1', 'Loading took over']

interface Chunk {
  file: string
  isEntry?: boolean
  imports?: string[]
  dynamicImports?: string[]
}

/** The JavaScript of a built application: `bytes` has the size of each set of chunks, gzip. */
interface Built {
  entry: number
  /** Bytes of each chunk of the client that is loaded on demand, with what it needs beyond the entry; by the end of its source's name. */
  onDemand: Map<string, number>
}

async function buildClient(name: keyof typeof PAGES): Promise<Built> {
  const dir = join(rootDir, `test/fixtures/.size-${name}`)
  dirs.push(dir)
  await mkdir(join(dir, 'app'), { recursive: true })
  await writeFile(join(dir, 'nuxt.config.ts'), CONFIG)
  await writeFile(join(dir, 'app/app.vue'), `${PAGES[name]}\n<template>\n  <p>{{ status }} {{ data?.n }}</p>\n</template>\n`)
  await promisify(execFile)(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'build', dir], { cwd: rootDir, env: { ...process.env, NODE_ENV: 'production' } })
  const manifest = JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8')) as Record<string, Chunk>
  const chunks = join(dir, '.output/public/_nuxt')
  const sizes = new Map<string, number>()
  for (const file of await readdir(chunks)) {
    if (!file.endsWith('.js')) continue
    const code = await readFile(join(chunks, file))
    for (const text of NOT_IN_A_BROWSER) expect(code.includes(text), text).toBe(false)
    sizes.set(file, gzipSync(code, { level: 9 }).length)
  }

  /** Adds a chunk and all that it imports, at once, to `into`. */
  function collect(key: string, into: Set<string>): Set<string> {
    const { file, imports = [] } = manifest[key]!
    if (!into.has(file)) {
      into.add(file)
      for (const next of imports) collect(next, into)
    }
    return into
  }
  const bytesOf = (files: Iterable<string>) => [...files].reduce((bytes, file) => bytes + sizes.get(file)!, 0)

  const entry = new Set<string>()
  for (const [key, { isEntry }] of Object.entries(manifest)) if (isEntry) collect(key, entry)
  const onDemand = new Map<string, number>()
  for (const key of Object.keys(manifest)) {
    const [, source] = /src\/runtime\/(?:client|shared)\/(.*)\.ts$/.exec(key) ?? []
    if (source) onDemand.set(source, bytesOf(new Set(collect(key, new Set())).difference(entry)))
  }
  return { entry: bytesOf(entry), onDemand }
}

it('useSSE adds a bounded number of bytes to what a page loads, and code that only some pages need is loaded on demand', async () => {
  const without = await buildClient('without')
  const built = await buildClient('with')
  const added = built.entry - without.entry
  console.log(`useSSE adds ${added} bytes, and on demand ${JSON.stringify(Object.fromEntries(built.onDemand))}`)
  expect(added).toBeGreaterThan(1_000)
  expect(added).toBeLessThanOrEqual(MAX_BYTES)
  expect([...without.onDemand.keys()]).toEqual([])
  expect([...built.onDemand.keys()].sort()).toEqual(Object.keys(MAX_BYTES_ON_DEMAND).sort())
  const { 'fallback/index': fallback, 'sharing/shared-client': shared } = Object.fromEntries(built.onDemand)
  for (const page of ['project/performance', 'guide/comparison']) {
    const [, section] = /^(?:## Browser\n|- \*\*Bytes in the browser)(.*?)(?:^## |^- )/ms.exec(await readFile(join(rootDir, `docs/${page}.md`), 'utf8'))!
    const said = [/([\d.]+) KB (?:\(gzip\)|to a page)/, /([\d.]+) KB more when/, /([\d.]+) KB(?: more with| where)\s+`share`/].map(pattern => Number(pattern.exec(section!)?.[1]))
    for (const [index, bytes] of [added, fallback!, shared!].entries()) expect(Math.abs(said[index]! - bytes / 1_000), `${page}: ${said[index]} KB`).toBeLessThan(0.2)
  }
  for (const [source, bytes] of built.onDemand) expect(bytes, source).toBeLessThanOrEqual(MAX_BYTES_ON_DEMAND[source]!)
})

/**
 * Bytes of an entry of `src/runtime` with all that it imports at once, gzip, and the names of the chunks that it loads on demand. With the code of Vite
 * that loads a chunk, which an application may have already.
 */
async function bundle(entry: string): Promise<{ bytes: number, onDemand: string[] }> {
  const built = await build({
    root: rootDir,
    configFile: false,
    logLevel: 'silent',
    // As in a production build of Nuxt.
    define: { 'import.meta.dev': 'false', 'import.meta.client': 'true', 'import.meta.server': 'false' },
    build: { write: false, minify: true, modulePreload: false, rolldownOptions: { input: join(rootDir, 'src/runtime', entry), preserveEntrySignatures: 'strict' } },
  })
  const chunks = [built].flat().flatMap(output => 'output' in output ? output.output : []).filter(chunk => chunk.type === 'chunk')
  // The package `ai` would be many times as large.
  expect(chunks.flatMap(({ moduleIds }) => moduleIds).filter(id => /node_modules\/(?!eventsource-parser\/)/.test(id))).toEqual([])
  const now = new Set(chunks.filter(({ isEntry }) => isEntry))
  for (const { imports } of now) for (const one of chunks) if (imports.includes(one.fileName)) now.add(one)
  const bytes = [...now].reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0)
  return { bytes, onDemand: chunks.filter(one => one.isDynamicEntry).map(({ name }) => name).sort() }
}

it('the transport for useChat has a bounded size, which its guide names, and contains nothing of `ai`', async () => {
  const [{ bytes: whole, onDemand }, { bytes: client }] = await Promise.all([bundle('ai/index.ts'), bundle('client/index.ts')])
  console.log(`The transport has ${whole} bytes, and ${whole - client} without openSSE`)
  expect(client).toBeGreaterThan(5_000)
  expect(onDemand).toEqual(['election', 'encode-body', 'fallback', 'shared-client', 'with-schemas'])
  expect(whole).toBeLessThanOrEqual(MAX_TRANSPORT_BYTES)
  const said = /has ([\d.]+) kB \(gzip\), of which ([\d.]+) kB/.exec(await readFile(join(rootDir, 'docs/guide/use-chat.md'), 'utf8'))!
  for (const [index, bytes] of [whole, client].entries()) expect(Math.abs(Number(said[index + 1]) - bytes / 1_000), said[0]).toBeLessThan(0.2)
})
