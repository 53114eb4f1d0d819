import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readBlocks, readPage } from './markdown'
import { rootDir } from './projects'

/** Pages whose files are a layer of the fixture `ssr`, so that the tests run the code that the pages show. */
const PAGES = ['docs/guide/live-lists.md', 'docs/recipes/database-list.md', 'docs/recipes/stores-and-caches.md']

/** Writes the files of the recipes as a Nuxt layer. Returns its folder. */
export async function writeRecipes(): Promise<string> {
  const layer = join(rootDir, 'test/fixtures/.recipes')
  await rm(layer, { recursive: true, force: true })
  const files = new Map([['nuxt.config.ts', 'export default defineNuxtConfig({})\n']])
  for (const page of PAGES) {
    for (const { file, text } of readBlocks(await readPage(page))) if (file) files.set(file, text)
  }
  for (const [path, text] of files) {
    await mkdir(dirname(join(layer, path)), { recursive: true })
    await writeFile(join(layer, path), text)
  }
  return layer
}
