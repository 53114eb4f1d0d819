// The tools that work on `src` (types, tests, lint) read this; the module itself is injected by `nuxt-module-build prepare`.
export default defineNuxtConfig({
  compatibilityDate: '2026-11-01',
  future: { compatibilityVersion: 4 },
})
