import { readFile } from 'node:fs/promises'
import { resolveFiles } from '@nuxt/kit'

const SOURCES = '**/*.{vue,ts,mts,js,mjs,tsx,jsx}'
// Only the `server` of a layer runs on the server: pages and components may have a folder of that name.
const NO_SOURCES = ['**/node_modules/**', '**/.*/**', '**/dist/**', 'server/**', 'layers/*/server/**']

/**
 * Whether the sources in `dirs` may use the option `share` of `useSSE`: whether the word occurs anywhere in them. Sharing is a quarter of
 * the client's code, and most applications do without it. A use that is missed here throws when it runs.
 */
export async function usesSharing(dirs: readonly string[]): Promise<boolean> {
  for (const dir of dirs) {
    for (const file of await resolveFiles(dir, SOURCES, { ignore: NO_SOURCES })) {
      if (/\bshare\b/.test(await readFile(file, 'utf8'))) return true
    }
  }
  return false
}
