import { defineBuildConfig } from 'unbuild'

// Beside module-builder's own entries (module and runtime): the module for Nitro without Nuxt.
export default defineBuildConfig({
  entries: ['src/nitro'],
  // Theirs are the types of Nitro, which an application has.
  externals: ['nitropack', 'nitropack/types'],
  failOnWarn: true,
})
