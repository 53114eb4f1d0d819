import { defineBuildConfig } from 'unbuild'

// module-builder's own entries (module and runtime) are all there is.
export default defineBuildConfig({
  failOnWarn: true,
})
