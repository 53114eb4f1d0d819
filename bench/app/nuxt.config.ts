// One built Nitro server with every peer as a route, so that the framework around them is the same. Each process serves one peer only, so
// that its effects on the heap and the JIT do not affect another peer.
export default defineNuxtConfig({
  modules: ['../../src/module'],
  ssr: false,
  devtools: { enabled: false },
  compatibilityDate: '2026-11-01',
  // Nitro lowers sources outside node_modules to ES2019, which turns each private field into a WeakMap. Installed packages are left
  // unchanged, and so is this package here.
  nitro: { esbuild: { options: { target: 'es2022' } } },
  telemetry: false,
})
