import { fileURLToPath } from 'node:url'

// The tools that work on `src` (types, tests, lint) read this; the module itself is injected by `nuxt-module-build prepare`.
export default defineNuxtConfig({
  // As the module chooses it for an application that shares.
  alias: { '#sse/sharing': fileURLToPath(new URL('src/runtime/client/sharing/shared-client', import.meta.url)) },
  future: { compatibilityVersion: 4 },
  compatibilityDate: '2026-11-01',
})
