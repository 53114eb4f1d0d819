import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { usesSharing } from '../../../src/build/uses-sharing'

const USE = `useSSE('/api/feed', { share: 'page' })`

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-sources-'))
})
afterEach(() => rm(dir, { recursive: true }))

async function write(path: string, text: string): Promise<void> {
  const file = join(dir, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}

it.each([
  'app/pages/index.vue',
  // What a page is about is not where it runs.
  'app/pages/server/[id].vue',
  'app/components/server/Load.vue',
  'layers/one/app/composables/feed.ts',
])('finds a use in %s', async (path) => {
  await write(path, USE)
  expect(await usesSharing([dir])).toBe(true)
})

it.each(['server/api/feed.ts', 'layers/one/server/api/feed.ts', 'node_modules/one/index.js', '.output/public/one.js', 'dist/one.js'])('reads nothing of %s', async (path) => {
  await write(path, USE)
  await write('app/pages/index.vue', `useSSE('/api/shared')`)
  expect(await usesSharing([dir])).toBe(false)
})
