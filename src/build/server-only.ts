import { relative } from 'node:path'

/** Subset of a Vite plugin that is used here: the package does not depend on Vite. */
interface ResolvingPlugin {
  name: string
  enforce: 'pre'
  resolveId(this: { error(message: string): never }, id: string, importer?: string): void
}

/**
 * Stops an import from below one of `dirs` into the application, with an error that names the alternative. Without it, Vite would try to
 * resolve Nitro's own modules for the page, and report names that mean nothing to the developer.
 */
export function serverOnly(dirs: string[], rootDir: string): ResolvingPlugin {
  return {
    name: 'nuxt-sse:server-only',
    enforce: 'pre',
    resolveId(id, importer) {
      if (!importer) return
      const name = ['#sse/server', 'nuxt-sse/server', 'nuxt-sse/publisher'].includes(id) ? id : dirs.some(dir => id.startsWith(`${dir}/`)) && '#sse/server'
      if (!name) return
      this.error(`\`${name}\` can only be imported in \`server/\`, but ${relative(rootDir, importer.replace(/\?.*/s, ''))} imports it. In the app, use \`useSSE\`, or import \`openSSE\`, \`SSEError\` and types from \`nuxt-sse/client\`. Import only types from a file that defines channels.`)
    },
  }
}
