// One built Nitro server with every peer as a route, so that the framework around them is the same. A process of it
// serves one peer only: what one does to the heap, or to the JIT, is nobody else's cost.
export default defineNuxtConfig({
  modules: ['../../src/module'],
  ssr: false,
  devtools: { enabled: false },
  compatibilityDate: '2026-11-01',
  // Nitro lowers what is not in node_modules to ES2019, which makes a WeakMap of each private field. An installed package
  // is left as it is, and so is this one here.
  nitro: { esbuild: { options: { target: 'es2022' } } },
  telemetry: false,
})
