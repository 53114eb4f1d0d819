import { readFile } from 'node:fs/promises'
import { resolveFiles } from '@nuxt/kit'

const SOURCES = '**/*.{vue,ts,mts,js,mjs,tsx,jsx}'
const NO_SOURCES = ['**/node_modules/**', '**/.*/**', '**/dist/**', '**/server/**']

/**
 * Whether the sources in `dirs` may use the option `share` of `useSSE`: whether they have the word, wherever. Sharing is a quarter of what
 * the client is, and most applications do without. A use that is not found says so when it runs.
 */
export async function usesSharing(dirs: readonly string[]): Promise<boolean> {
  for (const dir of dirs) {
    for (const file of await resolveFiles(dir, SOURCES, { ignore: NO_SOURCES })) {
      if (/\bshare\b/.test(await readFile(file, 'utf8'))) return true
    }
  }
  return false
}
