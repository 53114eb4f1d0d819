// Runs `index.ts` from this repository's sources. An application imports the installed package, and needs no such file.
import { fileURLToPath } from 'node:url'
import { createJiti } from 'jiti'

const publisher = fileURLToPath(new URL('../../src/runtime/publisher/index', import.meta.url))
await createJiti(import.meta.url, { alias: { 'nuxt-sse/publisher': publisher } }).import('./index.ts')
