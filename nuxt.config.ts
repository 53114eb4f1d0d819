// The tools that work on `src` (types, tests, lint) read this; the module itself is injected by `nuxt-module-build prepare`.
export default defineNuxtConfig({
  future: { compatibilityVersion: 4 },
  compatibilityDate: '2026-11-01',
})
