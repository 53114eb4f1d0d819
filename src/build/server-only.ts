import { relative } from 'node:path'

/** What of a Vite plugin is used here: the package does not depend on Vite. */
interface ResolvingPlugin {
  name: string
  enforce: 'pre'
  resolveId(this: { error(message: string): never }, id: string, importer?: string): void
}

/**
 * Stops an import of what lies below `serverDir` into the application with what to write instead. Without it Nitro's own modules would be
 * looked for in the page, and their names say nothing to whoever reads the error.
 */
export function serverOnly(serverDir: string, rootDir: string): ResolvingPlugin {
  return {
    name: 'nuxt-sse:server-only',
    enforce: 'pre',
    resolveId(id, importer) {
      if (!importer || !(id === '#sse/server' || id === 'nuxt-sse/server' || id.startsWith(`${serverDir}/`))) return
      this.error(`\`#sse/server\` is for \`server/\`, and was imported by ${relative(rootDir, importer.replace(/\?.*/s, ''))}. In the app there is \`useSSE\`, and \`nuxt-sse/client\` for \`openSSE\`, \`SSEError\` and types.`)
    },
  }
}
