import { execFile } from 'node:child_process'
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, it } from 'vitest'
import { rootDir } from '../support/projects'

/** What `useSSE` may add to an app's client JavaScript, gzip, summed over chunks. */
const MAX_BYTES = 6 * 1024
/** The same, with every option that is left out where no source has the word. */
const MAX_BYTES_SHARING = 7.5 * 1024

// Vue, VueUse and Nuxt's own composables are apart: the page without useSSE uses the same of them.
const PAGES = {
  with: `<script setup lang="ts">
const { data, status } = useSSE<{ n: number }>('/api/x')
</script>`,
  everything: `<script setup lang="ts">
const { data, status } = useSSE<{ n: number }>('/api/x', { share: 'browser', ssr: true })
</script>`,
  without: `<script setup lang="ts">
import { tryOnScopeDispose } from '@vueuse/core'

const status = shallowRef('idle')
const data = shallowRef<{ n: number }>()
watch(status, () => {})
onMounted(() => {})
tryOnScopeDispose(() => {})
useNuxtApp()
useId()
onServerPrefetch(() => {})
getCurrentInstance()
</script>`,
}

const dirs: string[] = []
afterAll(() => Promise.all(dirs.map(dir => rm(dir, { recursive: true, force: true }))))

/** Texts of what is only for the server, or for whoever develops. */
const NOT_IN_A_BROWSER = ['which a payload cannot hold', 'does nothing for', 'nothing will end its connection', 'has no effect', 'changed what it was given', 'speaks HTTP/1.1']

async function clientBytes(name: keyof typeof PAGES): Promise<number> {
  const dir = join(rootDir, `test/fixtures/.size-${name}`)
  dirs.push(dir)
  await mkdir(join(dir, 'app'), { recursive: true })
  await writeFile(join(dir, 'nuxt.config.ts'), 'export default defineNuxtConfig({ modules: [\'../../../src/module\'], compatibilityDate: \'2026-11-01\', telemetry: false })\n')
  await writeFile(join(dir, 'app/app.vue'), `${PAGES[name]}\n<template>\n  <p>{{ status }} {{ data?.n }}</p>\n</template>\n`)
  await promisify(execFile)(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'build', dir], { cwd: rootDir, env: { ...process.env, NODE_ENV: 'production' } })
  const chunks = join(dir, '.output/public/_nuxt')
  let bytes = 0
  for (const file of await readdir(chunks)) {
    if (!file.endsWith('.js')) continue
    const code = await readFile(join(chunks, file))
    for (const text of NOT_IN_A_BROWSER) expect(code.includes(text), text).toBe(false)
    bytes += gzipSync(code, { level: 9 }).length
  }
  return bytes
}

it('useSSE adds at most 6 KB gzip to an app, and sharing only to those that use it', async () => {
  const without = await clientBytes('without')
  const added = await clientBytes('with') - without
  const everything = await clientBytes('everything') - without
  console.log(`useSSE adds ${added} bytes, ${everything} with sharing`)
  expect(added).toBeGreaterThan(1_000)
  expect(added).toBeLessThanOrEqual(MAX_BYTES)
  expect(everything).toBeLessThanOrEqual(MAX_BYTES_SHARING)
})
